"""Whatever lies where a file is expected is answered in a sentence, at once: pipes, sockets, devices, folders."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.files import MOST, Unfitting, read_file
from study.store import Damaged, read_json
from study.training.checkpoint import read_checkpoint
from tests.helpers import tiny
from tests.helpers.commands import command


def pipe(place: Path) -> None:
    os.mkfifo(place)


def bound(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place))


def zeros(place: Path) -> None:
    place.symlink_to("/dev/zero")


def folder(place: Path) -> None:
    place.mkdir()


def endless(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(2 * MOST)  # takes no space


def circle(place: Path) -> None:
    place.symlink_to(place.name)


STRANGE = (pipe, bound, zeros, folder, endless, circle)


@pytest.fixture(params=STRANGE, ids=lambda make: make.__name__)
def strange(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    make: Callable[[Path], None] = request.param
    return make


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 10


def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")  # a socket's path has 107 characters at most


def test_reading_a_file_says_what_is_there_instead(tmp_path: Path, strange: Callable[[Path], None]) -> None:
    strange(tmp_path / "it")
    with pytest.raises(OSError) as caught:
        read_file(tmp_path / "it")
    assert caught.value.strerror and str(tmp_path / "it") == caught.value.filename


def test_a_file_that_grows_is_read_to_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(bytes(10))
    assert read_file(file, 10) == bytes(10)
    with pytest.raises(Unfitting, match="more than 9 bytes"):
        read_file(file, 9)


def test_json_and_checkpoints_are_no_pipes(tmp_path: Path, strange: Callable[[Path], None]) -> None:
    if strange is endless:
        pytest.skip("two gigabytes of zeros are read as JSON of an output, whose size has no limit")
    strange(tmp_path / "it")
    assert read_json(tmp_path / "it") is None
    with pytest.raises(Damaged, match="cannot be read"):
        read_checkpoint(tmp_path / "it", "critic-1")


@pytest.mark.parametrize("option", ["study", "include", "plugin", "list", "groups", "mask", "image", "into", "output"])
def test_every_path_of_a_user_may_be_anything(tmp_path: Path, strange: Callable[[Path], None], option: str) -> None:
    it = tmp_path / "it"
    strange(it)
    done = command(*_words(option, it, tmp_path))
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) <= 3 and "it" in done.stderr


def _words(option: str, it: Path, place: Path) -> list[object]:
    """A command in which a path is ``it``."""
    if option == "study":
        return ["plan", it]
    if option == "include":
        return ["plan", tiny.write(place, include=["it"])]
    if option == "plugin":
        (place / "it.py").symlink_to(it)
        return ["plan", tiny.write(place, plugins=["it.py"])]
    if option in ("list", "groups"):
        root = _images(place / "root")
        (root / "it").symlink_to(it)
        files = {"train": "it", "test": "it2"} if option == "list" else {"groups": "it"}
        return ["plan", tiny.write(place, data={"photos": {"kind": "folder", "root": str(root), **files}})]
    if option in ("mask", "image"):
        root = _images(place / "root")
        words = ["--output", root, "--truth", root]
        return ["score", *words, "--mask", it] if option == "mask" else ["score", "--output", it, "--truth", root]
    if option == "into":
        return ["score", "--output", _images(place / "root"), "--into", it, "--as", "mine"]
    return ["report", it]


def _images(root: Path) -> Path:
    root.mkdir()
    for number in range(8):
        pixels = np.full((32, 32, 3), 10 * number, np.uint8)
        Image.fromarray(pixels).save(root / f"{number}.png")
    return root
