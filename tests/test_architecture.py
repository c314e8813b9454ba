"""The picture of the architecture is up to date, and its check notices when it is not."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_picture_is_made_from_the_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import architecture

    assert architecture.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_picture_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import architecture

    monkeypatch.setattr(architecture, "ROOT", tmp_path)
    monkeypatch.setattr(architecture, "PICTURE", tmp_path / "architecture.svg")
    monkeypatch.setattr(architecture, "rooms", lambda: {"models": set(), "study/cli": {"models"}})
    for room in ("models", "study/cli"):
        (tmp_path / room).mkdir(parents=True)
        (tmp_path / room / "__init__.py").write_text('"""One sentence. Another."""')
    assert architecture.main([]) == 0 and architecture.main(["--check"]) == 0
    assert "One sentence." in architecture.PICTURE.read_text() and "Another" not in architecture.PICTURE.read_text()
    (tmp_path / "models" / "__init__.py").write_text('"""A new purpose."""')
    assert architecture.main(["--check"]) == 1
    assert "run python docs/architecture.py" in capsys.readouterr().err
