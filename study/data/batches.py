"""Mini-batches: images, flips and holes, each a function of (seed, stream, step) alone.

So all variants of a seed see the same images with the same holes in the same order, and a resumed run continues
exactly.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.masking import Box, bounding_box, window_of
from models.masks import Holes
from models.method import Fill
from study.data.device import upload
from study.data.holes import Draw
from study.seeds import numpy_rng

AHEAD = 2  # steps whose batches are prepared while an accelerator trains


class Batch(NamedTuple):
    """Images with their holes.

    windows, elsewhere: what the local critic looks at, around the hole and at a random place.
    mix: where a gradient penalty evaluates the critic, from 0, the repaired image, to 1, the real one.
    """

    image: Tensor  # (B, 3, H, W), 0..1
    mask: Tensor  # (B, 1, H, W), 1 = hole
    fill: Tensor | float  # the hole's content in the generator's input
    windows: Sequence[Box]
    elsewhere: Sequence[Box]
    mix: Tensor  # (B,), 0..1


@dataclass(eq=False)
class Batches:
    """The batches of one stream of a seed, by number."""

    images: NDArray[np.uint8]  # (N, H, W, 3)
    _: KW_ONLY
    seed: int
    stream: str
    batch: int
    flips: bool
    holes: Draw
    fill: Fill
    mean: Sequence[float]  # the colour of ``fill: mean``, 0..1
    device: torch.device
    paired: bool = False  # each hole belongs to its image, and is flipped with it
    kept: Tensor | None = None  # the same images on the device, if they fit (``study.data.device.kept_on``)

    def __post_init__(self) -> None:
        self._side = self.images.shape[1]
        self._order = lru_cache(maxsize=2)(partial(_permutation, self.seed, self.stream, len(self.images)))
        self._last: tuple[Holes, Tensor, list[Box]] | None = None
        self._colour = 0.0 if self.fill == "noise" else colour(self.fill, self.mean, self.device)

    def at(self, number: int) -> Batch:
        """Batch ``number`` of the stream, from 0. Each epoch has its own random order."""
        indices = self._indices(number)
        image = self._pixels(indices)
        holes = self.holes(self._rng("holes", number), indices)
        if self.flips:
            flip = self._rng("flips", number).random(self.batch) < 0.5
            turned = upload(flip, self.device)[:, None, None, None]
            image = torch.where(turned, image.flip(-1), image)
            if self.paired:
                holes = np.where(flip[:, None, None], holes[..., ::-1], holes)
        mask, windows = self._masked(holes)
        mix = upload(self._rng("mix", number).random(self.batch, dtype=np.float32), self.device)
        return Batch(image, mask, self._filling(number), windows, self._elsewhere(number), mix)

    def _masked(self, holes: Holes) -> tuple[Tensor, list[Box]]:
        """The mask and the windows of holes. Holes that are the same array every time are converted once."""
        if self._last is None or self._last[0] is not holes:
            windows = [window_of(bounding_box(hole), self._side) for hole in holes]
            self._last = holes, upload(np.array(holes), self.device).float()[:, None], windows
        return self._last[1:]

    def _rng(self, what: str, number: int) -> np.random.Generator:
        return numpy_rng(self.seed, self.stream, what, number)

    def _indices(self, number: int) -> NDArray[np.int64]:
        places = np.arange(number * self.batch, (number + 1) * self.batch)
        return np.array([self._order(place // len(self.images))[place % len(self.images)] for place in places.tolist()])

    def _pixels(self, indices: NDArray[np.int64]) -> Tensor:
        """(B, 3, H, W) in 0..1, in channels_last memory format like the file."""
        if self.kept is not None:
            pixels = self.kept[upload(indices, self.device)]
        else:
            pixels = upload(self.images[indices], self.device)
        return pixels.permute(0, 3, 1, 2).float() / 255

    def _elsewhere(self, number: int) -> list[Box]:
        half = self._side // 2
        places = self._rng("elsewhere", number).integers(0, half, size=(self.batch, 2), endpoint=True)
        return [Box(top, left, half, half) for top, left in places.tolist()]

    def _filling(self, number: int) -> Tensor | float:
        if self.fill == "noise":
            shape = (self.batch, 3, self._side, self._side)
            return upload(self._rng("noise", number).random(shape, dtype=np.float32), self.device)
        return self._colour


def _permutation(seed: int, stream: str, count: int, epoch: int) -> NDArray[np.int64]:
    return numpy_rng(seed, stream, "order", epoch).permutation(count)


def read_ahead(
    batches: Callable[[int], list[Batch]], steps: range, device: torch.device
) -> Generator[tuple[int, list[Batch]], None, None]:
    """Yields each of these steps with its batches. A thread prepares the next ones while an accelerator trains."""
    if device.type == "cpu":  # one thread a worker: nothing would be gained
        yield from ((step, batches(step)) for step in steps)
        return
    coming: deque[tuple[int, Future[list[Batch]]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        try:
            for step in steps:
                coming.append((step, pool.submit(batches, step)))
                if len(coming) > AHEAD:
                    ready, future = coming.popleft()
                    yield ready, future.result()
            while coming:
                ready, future = coming.popleft()
                yield ready, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def colour(fill: Fill, mean: Sequence[float], device: torch.device) -> Tensor | float:
    """A fill of one colour, (3, 1, 1) in 0..1: black, the training set's mean, or a given colour."""
    if fill == "zero":
        return 0.0
    values = mean if isinstance(fill, str) else fill
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
