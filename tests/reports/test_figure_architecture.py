"""Figures of the networks: every layer is drawn, all text is whole and apart, and nothing is made up."""

import json
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache, lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from baselines.context_encoder import ContextEncoderOptions
from baselines.giica import GiicaOptions
from baselines.glcic import GlcicOptions
from baselines.single import Single
from models.method import Trained
from models.proposed import Proposed, ReconstructionOnly
from reports.analysis.frames import Frames, NoDataError
from reports.figures import generator, network, style
from reports.figures.style import WIDTH
from study.inspection.describe import describe

VARIANTS: dict[str, Trained] = {
    "proposed": Proposed(width=0.125),
    "reconstruction_only": ReconstructionOnly(width=0.125),
    "single": Single(),
    "ce": ContextEncoderOptions(),
    "glcic": GlcicOptions(width=0.125),
    "giica": GiicaOptions(),
    "five": Proposed(multiscale=3),
    "full_size": Proposed(downsample="none", head="linear"),
    "area": Proposed(downsample="area", total_weight=0.004, critic_input="raw"),
}
CRITICS = dict.fromkeys(VARIANTS, 1) | {
    "proposed": 4, "reconstruction_only": 0, "giica": 2, "five": 5, "full_size": 4, "area": 4,
}  # fmt: skip
HOSTILE = "<script>alert('$x^2$')</script> # & \\alpha {}\n" * 4


@cache
def described(name: str, side: int) -> dict[str, Any]:
    """A variant's networks; to look at, not to change."""
    return describe(VARIANTS[name], side)


@pytest.fixture(scope="module")
def built(frames: Frames) -> Callable[..., Frames]:
    """The made-up study with all variants' networks, for images of so many pixels; `renamed` is one more name."""

    def of(side: int = 64, **renamed: str) -> Frames:
        networks = {name: described(name, side) for name in VARIANTS}
        configs = {
            name: {"method": name, "options": json.loads(options.model_dump_json(by_alias=True))}
            for name, options in VARIANTS.items()
        }
        for source, name in renamed.items():
            networks[name], configs[name] = networks[source], configs[source]
        return replace(frames, study={**frames.study, "networks": networks, "configs": configs})

    return of


@lru_cache(maxsize=1)  # tests ask several times
def texts(drawn: Figure) -> list[tuple[str, Bbox]]:
    """All texts with where they stand, in pixels; asserts that they are within the figure."""
    with style.styled(), warnings.catch_warnings():
        warnings.simplefilter("error")
        renderer = FigureCanvasAgg(drawn).get_renderer()
        drawn.draw(renderer)
        found = [(text.get_text(), text.get_window_extent(renderer)) for text in drawn.findobj(Text) if text.get_text()]
    edge = drawn.bbox
    for told, box in found:
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1, told
    return found


def check_apart(drawn: Figure) -> None:
    """No two texts overlap, and the page is wide enough."""
    for (first, a), (second, b) in combinations(texts(drawn), 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        assert apart, f"{first!r} overlaps {second!r}"
    assert drawn.get_figwidth() <= WIDTH + 0.1


def told(drawn: Figure) -> list[str]:
    return [text for text, _ in texts(drawn)]


def blocks(drawn: Figure, label: str = "layer") -> int:
    return sum(patch.get_label() == label for patch in drawn.axes[0].patches)


@pytest.mark.parametrize("side", [64, 256])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_layer_of_a_generator_is_a_block(variant: str, side: int, built: Callable[..., Frames]) -> None:
    frames = built(side)
    drawn = generator(frames, variant)
    layers = frames.study["networks"][variant]["networks"][0]["layers"]
    assert (blocks(drawn), blocks(drawn, "input"), blocks(drawn, "output")) == (len(layers), 1, 1)
    check_apart(drawn)


def test_a_generator_is_told_as_table_1_prints_it(built: Callable[..., Frames]) -> None:
    drawn = generator(built(256), "five")
    rows = {
        heading: [text for text, box in sorted(texts(drawn), key=lambda each: each[1].x0) if abs(box.y0 - y.y0) < 2]
        for heading, y in texts(drawn)
        if heading in ("kernel", "dilation", "stride", "outputs", "side, px", "sees, px")
    }
    assert rows["kernel"][1:] == ["5×5", *["3×3"] * 9, "4×4", "3×3", "4×4", "3×3", "3×3"]
    assert rows["dilation"][6:10] == ["2", "4", "8", "16"]
    assert rows["stride"][1:] == ["1", "2", "1", "2", *"111111", "1/2", "1", "1/2", "1", "1"]
    assert rows["outputs"][1:5] == ["4", "64", "128", "128"] and rows["outputs"][-2:] == ["3", "3"]
    assert rows["side, px"][1:5] == ["256", "256", "128", "128"]
    assert rows["sees, px"][-1] == "287"
    title = "five: generator, 15 layers, 4,890,947 parameters, receptive field: 287 px; images of 256 px"
    assert title in told(drawn)


def test_blocks_go_by_side_and_outputs(built: Callable[..., Frames]) -> None:
    drawn = generator(built(256), "five")
    first, second, *_, last = [patch for patch in drawn.axes[0].patches if patch.get_label() == "layer"]
    assert second.get_height() / first.get_height() == pytest.approx(0.5**0.5)
    assert second.get_width() / first.get_width() == pytest.approx(2**0.5)
    assert last.get_height() == pytest.approx(first.get_height())


def test_a_layer_that_reads_from_afar_has_a_copy_of_it_at_its_side(built: Callable[..., Frames]) -> None:
    drawn = generator(built(), "giica")
    found = told(drawn)
    # the mask and the attention, the coarse prediction for either branch, what the decoder joins, and a row's beginning
    assert blocks(drawn, "copy") == 6
    assert {"coarse", "matched", "pasted", "convolved", "decoder"} <= set(found)
    assert (found.count("coarse"), found.count("pasted"), found.count("input"), found.count("+")) == (4, 2, 2, 2)
    assert "dashed: made elsewhere, read here" in found
    assert blocks(generator(built(), "proposed"), "copy") == 0


def test_a_long_part_is_broken_into_rows(built: Callable[..., Frames]) -> None:
    frames = built()
    described = deepcopy(frames.study["networks"]["proposed"])
    layers = described["networks"][0]["layers"]
    layers[1:1] = [{**layers[0], "name": f"encoder.x{place}"} for place in range(30)]
    drawn = generator(replace(frames, study={**frames.study, "networks": {"proposed": described}}))
    assert blocks(drawn) == 45 and blocks(drawn, "copy") == 3
    check_apart(drawn)


@pytest.mark.parametrize("pictures", [True, False], ids=["pictures", "none"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_critic_has_its_box(variant: str, pictures: bool, built: Callable[..., Frames]) -> None:
    frames = built()
    if not pictures:
        frames = replace(frames, pictures=frames.pictures.iloc[:0])
    drawn = network(frames, variant)
    found = told(drawn)
    assert sum("×" in text and "pixel" not in text for text in found) == CRITICS[variant]
    assert found.count("+") == CRITICS[variant]
    assert sum(text.startswith("receptive field: ") for text in found) == 1 + CRITICS[variant]
    networks = frames.study["networks"][variant]["networks"]
    assert blocks(drawn) == sum(len(one["layers"]) for one in networks)
    assert "reconstruction" in found and not any("…" in text for text in found)
    assert ("mask" in found) == (variant != "ce")  # its generator alone does not read it
    if variant == "ce" and pictures:
        assert len(drawn.axes[0].images) == 4
    if CRITICS[variant]:
        assert ("prediction" in found, "repaired" in found) == (variant == "area", variant != "area")
    check_apart(drawn)


def test_a_critic_s_view_is_read_from_its_layers(built: Callable[..., Frames]) -> None:
    def views(variant: str) -> list[str]:
        return [text for text in told(network(built(256), variant)) if text.endswith(" px") and "," in text]

    whole, window = "whole image, 256 px", "window of the hole, 128 px"
    half, quarter = "image at 1/2, 128 px", "image at 1/4, 64 px"
    assert views("five") == [window, whole, half, quarter, "image at 1/8, 32 px"]
    assert views("area") == [window, whole, half, quarter]
    assert views("full_size") == [window, whole, whole, whole]
    assert views("glcic") == [window, whole]
    assert views("ce") == [window]
    assert views("giica") == [window, whole]
    assert views("reconstruction_only") == []


def test_a_loss_has_its_weight_and_its_bound(built: Callable[..., Frames]) -> None:
    frames = built()
    assert told(network(frames, "five")).count("0.001 × WGAN") == 5
    assert "clipped at ±0.01" in told(network(frames, "proposed"))
    assert "0.0004 × JS" in told(network(frames, "glcic"))
    assert {"0.002 × WGAN-GP", "gradient penalty 5"} <= set(told(network(frames, "giica")))
    weighted = deepcopy(frames.study["configs"])
    weighted["proposed"]["options"] |= {"weights": {"local": 1, "global": 2, "half": 3, "quarter": 4, "eighth": 9}}
    weighted["proposed"]["options"]["total_weight"] = 0.5
    found = told(network(replace(frames, study={**frames.study, "configs": weighted}), "proposed"))
    assert [text for text in found if "WGAN" in text] == [f"{w:g} × WGAN" for w in (0.05, 0.1, 0.15, 0.2)]


def test_a_view_shows_that_part_of_the_picture(built: Callable[..., Frames]) -> None:
    frames = built()
    drawn = network(frames, "proposed").axes[0].images
    pictures = frames.pictures[(frames.pictures["variant"] == "proposed") & (frames.pictures["image"] == "face-00")]
    truth, masked, repaired = pictures["pixels"]
    shown: list[Any] = [np.asarray(image.get_array()) for image in drawn]
    assert [len(pixels) for pixels in shown] == [16, 16, 16, 16, 8, 16, 8, 4]
    assert np.array_equal(shown[0], masked) and np.array_equal(shown[3], truth)
    assert np.array_equal(shown[1][:, :, 0] == 255, (truth != masked).any(axis=2))
    assert np.array_equal(shown[4], repaired[4:12, 4:12]) and np.array_equal(shown[5], repaired)
    assert shown[6][0, 0] == pytest.approx(repaired[:2, :2].mean(axis=(0, 1)), abs=0.51)


@pytest.mark.parametrize("draw", [generator, network])
def test_figures_are_of_the_reference_and_repeatable(draw: Callable[..., Figure], built: Callable[..., Frames]) -> None:
    frames = built()
    before = deepcopy(frames.study)
    first, again, named = (style.inline(style.svg(draw(frames, *of)), "x") for of in ((), (), ("proposed",)))
    assert first == again == named
    assert frames.study == before


@pytest.mark.parametrize("draw", [generator, network])
@pytest.mark.parametrize("name", [HOSTILE, "$a$ # <b>", " "])
def test_a_name_may_hold_anything(draw: Callable[..., Figure], name: str, built: Callable[..., Frames]) -> None:
    drawn = draw(built(64, glcic=name), name)
    check_apart(drawn)
    assert "<script>" not in style.inline(style.svg(drawn), "x")


@pytest.mark.parametrize("draw", [generator, network])
def test_what_is_not_recorded_is_said(draw: Callable[..., Figure], frames: Frames) -> None:
    def said(variant: str | None = None, **study: Any) -> str:
        with pytest.raises(NoDataError) as stopped:
            draw(replace(frames, study={**frames.study, **study}), variant)
        return str(stopped.value)

    assert said() == said(networks=None) == said(networks={}) == "No networks of Proposed are recorded."
    nothing = {"mean": {"image_size": 64, "networks": [], "totals": {}}}
    assert said("mean", networks=nothing) == "No networks of Mean filler are recorded."
    assert said(reference=None) == "The study names no reference, so that no networks of it can be drawn."


def test_options_may_be_unknown(built: Callable[..., Frames]) -> None:
    frames = built()
    for configs in (None, {}, {"proposed": {"method": "proposed"}}):
        found = told(network(replace(frames, study={**frames.study, "configs": configs})))
        assert found.count("adversarial loss") == 4 and "reconstruction" in found
