"""One thread, deterministic algorithms and no plugin, as in a new worker: what tests make is what a study makes."""

from collections.abc import Iterator

import pytest
import torch

from study.parts import plugins


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> Iterator[None]:
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    plugins.use([])
