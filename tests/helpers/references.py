"""What the reference packages make of weights and images that are drawn from seeds.

``tests/golden/perceptual.py`` records their numbers; where they are installed, the tests ask them again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from study.metrics.perceptual import weights
from study.metrics.perceptual.weights import Kind

SIDE, COUNT = 64, 3
NETS = ("alex", "vgg")


def drawn(kind: Kind, seed: int) -> dict[str, Tensor]:
    """Weights for a file of this kind, such that features neither vanish nor grow without end."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in kind.network().state_dict().items() if t.ndim}
    rng = np.random.default_rng(seed)
    found = {}
    for name in sorted(shapes):
        shape = shapes[name]
        if name.endswith(("bn.weight", "running_var")):
            values = rng.uniform(0.5, 1.5, shape)
        elif name.endswith(("bias", "running_mean")):
            values = rng.normal(0, 0.1, shape)
        elif name.startswith("lin"):
            values = rng.uniform(0, 1, shape)
        else:
            values = rng.normal(0, np.sqrt(1.5 / np.prod(shape[1:])), shape)
        found[name] = torch.from_numpy(values.astype(np.float32))
    return found


def images(count: int = COUNT, side: int = SIDE, seed: int = 7) -> tuple[Tensor, Tensor]:
    """Truths and outputs, (count, 3, side, side) in 0..1, steps of 1/255: coarse squares, and the same with noise."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.random((count, 3, side // 8, side // 8)), np.ones((8, 8)))
    output = (truth + rng.normal(0, 0.15, truth.shape)).clip(0, 1)
    return tuple(torch.from_numpy((x * 255).round() / 255).float() for x in (truth, output))  # type: ignore[return-value]


def features(count: int, dimensions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features (count, dimensions) that belong together pair by pair."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(dimensions, dimensions)) / np.sqrt(dimensions)
    truth = rng.normal(size=(count, dimensions)) @ mixed
    return truth, truth + 0.3 * rng.normal(size=truth.shape) + 0.1


def ssim(a: np.ndarray, b: np.ndarray, **more: Any) -> Any:
    """SSIM of two images (height, width, 3) with the window of Wang 2004, by scikit-image."""
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(a, b, channel_axis=-1, **window, **more)


SETS = {"many": (400, 48, 1), "singular": (40, 96, 2)}
"""Sets of features by name: how many, of how many dimensions, from which seed."""


def lpips(net: str) -> list[float]:
    """LPIPS of ``images``, by the package lpips 0.1.4."""
    import lpips as package

    network = package.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    network.load_state_dict(drawn(weights.HEADS[net], 2), strict=False)
    slices = {name: layer for _, part in network.net.named_children() for name, layer in part.named_children()}
    for name, tensor in drawn(weights.FEATURES[net], 1).items():
        _, number, parameter = name.split(".")
        getattr(slices[number], parameter).data.copy_(tensor)
    truth, output = images()
    with torch.inference_mode():
        return network(output, truth, normalize=True).flatten().tolist()


def _whole() -> dict[str, Tensor]:
    """A file of Inception's weights with the head that a distance does not read."""
    return {**drawn(weights.INCEPTION, 3), "fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}


def pytorch_fid_features() -> np.ndarray:
    """Inception's features of the outputs, (COUNT, 2048), by pytorch-fid 0.3.0."""
    from pytorch_fid import inception as package

    fetch, package.load_state_dict_from_url = package.load_state_dict_from_url, lambda *_, **__: _whole()
    try:
        network = package.InceptionV3([3]).eval()
    finally:
        package.load_state_dict_from_url = fetch
    with torch.inference_mode():
        return network(images()[1])[0].flatten(1).numpy()


def torch_fidelity_features() -> np.ndarray:
    """The same of 299 x 299 cuts of images of 304 px, (2, 2048), by torch-fidelity 0.4.0, which takes bytes."""
    from torch_fidelity import feature_extractor_inceptionv3 as package

    fetch, package.load_state_dict_from_url = package.load_state_dict_from_url, lambda *_, **__: _whole()
    try:
        network = package.FeatureExtractorInceptionV3("inception", ["2048"])
    finally:
        package.load_state_dict_from_url = fetch
    with torch.inference_mode():
        return network((large() * 255).round().byte())[0].numpy()


def large() -> Tensor:
    """Images of Inception's own size, (2, 3, 299, 299) in 0..1."""
    return images(2, 304)[1][:, :, :299, :299].contiguous()


def pytorch_fid_distance(name: str) -> float:
    """FID of a set of features by pytorch-fid 0.3.0: SciPy's root of the covariances' product."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    moments = [(found.mean(0), np.cov(found, rowvar=False)) for found in features(*SETS[name])]
    return float(calculate_frechet_distance(*moments[1], *moments[0]))


def torch_fidelity_distance(name: str) -> float:
    """The same by torch-fidelity 0.4.0: the roots of the product's eigenvalues."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    moments = [fid_features_to_statistics(torch.from_numpy(found)) for found in features(*SETS[name])]
    return float(fid_statistics_to_metric(*moments, verbose=False)["frechet_inception_distance"])


def torch_fidelity_mmd(name: str) -> float:
    """The squared discrepancy of a set of features by torch-fidelity 0.4.0, its 'u-statistic'."""
    from torch_fidelity.metric_kid import kernel_poly, mmd2

    truth, output = features(*SETS[name])
    kernel = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1.0}
    pairs = ((truth, truth), (truth, output), (output, output))
    return float(mmd2(*(kernel_poly(*pair, **kernel) for pair in pairs), mmd_est="u-statistic"))


EVERY: dict[str, Callable[[], Any]] = {
    **{f"lpips {net}": partial(lpips, net) for net in NETS},
    "pytorch_fid features": lambda: pytorch_fid_features()[:, ::64].tolist(),
    "torch_fidelity features": lambda: torch_fidelity_features()[:, ::64].tolist(),
    **{f"pytorch_fid distance {name}": partial(pytorch_fid_distance, name) for name in SETS},
    **{f"torch_fidelity distance {name}": partial(torch_fidelity_distance, name) for name in SETS},
    **{f"torch_fidelity mmd {name}": partial(torch_fidelity_mmd, name) for name in SETS},
}
"""What makes each number of a reference, by its name, whose first word is the package. Of features every 64th."""
