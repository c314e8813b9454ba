"""Observers that a study names: their addresses, and Sacred observers of others by their import paths.

An observer that is named by its path is code, like a plugin, and runs with the rights of the user who names it.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Mapping
from typing import Any

from study.errors import hidden

if not hasattr(pkgutil, "find_loader"):  # Python 3.14 removed it; sacred asks whether it gives None
    pkgutil.find_loader = importlib.util.find_spec  # type: ignore[assignment]

VARIABLE = re.compile(r"\$\{(\w+)\}")
EVENTS = ("started", "heartbeat", "completed", "interrupted", "failed", "artifact")


def filled(value: Any) -> Any:
    """A value with the environment's variables in place of ``${NAME}``. Raises ValueError if there is none."""
    if isinstance(value, Mapping):
        return {key: filled(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry) for entry in value]
    if not isinstance(value, str):
        return value
    if missing := [name for name in VARIABLE.findall(value) if name not in os.environ]:
        raise ValueError(f"got {hidden(value)}; the environment has no variable {missing[0]}: export it first")
    return VARIABLE.sub(lambda found: os.environ[found[1]], value)


def blanked(text: str, options: Mapping[str, Any]) -> str:
    """A text without the values of the variables that an observer's options name."""
    for value in filter(None, map(os.environ.get, VARIABLE.findall(str(options)))):
        text = text.replace(value, "***")
    return text


def mongo_address(url: str) -> str:
    """The address of a MongoDB, as it is. Raises ValueError if it is none, or the client is missing."""
    if importlib.util.find_spec("pymongo") is None:
        raise ValueError("the observer 'mongo' needs the package pymongo: pip install pymongo")
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    whole = filled(url)
    try:
        if whole.startswith("mongodb://"):  # mongodb+srv is looked up in the network
            parse_uri(whole)
        elif "://" in whole and not whole.startswith("mongodb+srv://"):
            raise ValueError("it begins with mongodb:// or mongodb+srv://")
    except (PyMongoError, ValueError) as error:
        raise ValueError(f"got {hidden(url)}; {hidden(str(error))}") from None
    return url


def sql_address(url: str) -> str:
    """An address of SQLAlchemy's, as it is. Raises ValueError if it is none, or its driver is missing."""
    if importlib.util.find_spec("sqlalchemy") is None:
        raise ValueError("the observer 'sql' needs the package sqlalchemy: pip install sqlalchemy")
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    whole = filled(url)
    try:
        create_engine(whole)  # connects to nothing
    except ModuleNotFoundError as error:
        raise ValueError(f"got {hidden(url)}; it needs the package {error.name}: pip install {error.name}") from None
    except (ArgumentError, NoSuchModuleError, ValueError):  # a port that is no number
        how = "write an address such as sqlite:///records.db or postgresql+psycopg://user@host/database"
        raise ValueError(f"got {hidden(url)}; {how}") from None
    return url


def class_name(path: str) -> str:
    """The path of an observer's class, as it is. Raises ValueError if it cannot be imported or is no observer."""
    load(path)
    return path


def check_options(path: str, options: Mapping[str, Any]) -> None:
    """Raises ValueError if an observer's class does not take these options."""
    try:
        inspect.signature(load(path)).bind(**filled(dict(options)))
    except TypeError as error:
        raise ValueError(f"{path} cannot be made with these options: {error}") from None


def load(path: str) -> Any:
    """The class at ``package.module.Name``. Raises ValueError if it cannot be imported or is no Sacred observer."""
    module, _, name = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")) or not module:
        raise ValueError(f"got '{path}'; write a class's path, such as package.module.Name")
    try:
        found = pkgutil.resolve_name(f"{module}:{name}")
    except AttributeError as error:
        if module not in sys.modules:
            raise ValueError(f"{path} cannot be imported: AttributeError: {error}") from error
        found = None
    except (Exception, SystemExit) as error:  # it is other people's code
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, type):
        raise ValueError(f"{path}: {module} has no class {name}")
    if missing := [event for event in EVENTS if not callable(getattr(found, f"{event}_event", None))]:
        raise ValueError(f"{path} is not a Sacred observer: it has no {missing[0]}_event")
    return found
