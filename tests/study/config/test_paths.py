"""Options by their dotted names."""

from study.config import paths


def test_put_get_and_drop() -> None:
    options: dict[str, object] = {"width": 1, "loss": "wgan"}
    paths.put(options, "width", 2)
    paths.put(options, "weights.local", 0.1)
    paths.put(options, "loss.clip", 0.01)
    assert options == {"width": 2, "weights": {"local": 0.1}, "loss": {"clip": 0.01}}
    assert [paths.get(options, name) for name in ("width", "weights.local", "none", "width.of")] == [2, 0.1, None, None]
    for name in ("width", "loss.clip", "none.at.all"):
        paths.drop(options, name)
    assert options == {"weights": {"local": 0.1}, "loss": {}}
