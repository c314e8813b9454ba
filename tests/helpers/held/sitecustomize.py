"""Holds a process at a point that a test chose (see ``gate.py``). Python imports this file first, by its name.

The environment says where: ``GATE_POINT`` is an event and a pattern, ``GATE_FOLDER`` the folder through which the test
and its processes speak.

    import torch               the module is about to be imported, in a worker
    open */photos/7.png        the file is about to be opened
    os.rename */stages/joint*  something is about to be renamed to this
    step 400                   the process has made this many optimizer steps

Several patterns with ``then`` between them are met one after another; the process is held at the last.
"""

import importlib.abc
import importlib.util
import os
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

FOLDER = Path(os.environ["GATE_FOLDER"])
EVENT, _, pattern = os.environ["GATE_POINT"].partition(" ")
PATTERNS = pattern.split(" then ")
WORKER = "--multiprocessing-fork" in sys.orig_argv


def hold() -> None:
    """Says that this process is here and waits until the gate is open. Signals are handled meanwhile."""
    (FOLDER / str(os.getpid())).touch()
    while not (FOLDER / "open").exists():
        time.sleep(0.01)


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == EVENT and (event != "import" or WORKER):
        place = arguments[1] if event == "os.rename" else arguments[0]
        if PATTERNS and isinstance(place, str | os.PathLike) and fnmatch(os.fspath(place), PATTERNS[0]):
            PATTERNS.pop(0)
            if not PATTERNS:
                hold()


class StepCounter(importlib.abc.MetaPathFinder):
    """Counts optimizer steps from the moment that torch's optimizers are imported."""

    left = 0

    def find_spec(self, name: str, path: object, target: object = None) -> object:
        if name != "torch.optim.optimizer":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def run_and_register(module: object) -> None:
            run(module)
            module.register_optimizer_step_post_hook(self.count)

        spec.loader.exec_module = run_and_register
        return spec

    def count(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            hold()


if EVENT == "step":
    counter = StepCounter()
    counter.left = int(pattern)
    sys.meta_path.insert(0, counter)
else:
    sys.addaudithook(watch)
