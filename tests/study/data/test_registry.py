"""What every kind of data set holds to: a new one is tested by being listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
import tiny

import study.data.packed as packing
from study.data import DATASETS, Packed
from study.data.packed import PARTS
from study.errors import Interrupted

KINDS = sorted(DATASETS)
FILES = ("images.npy", "data.json", "train.txt", "validation.txt", "test.txt")


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_it_packs_what_it_says(kind: str, tmp_path: Path) -> None:
    data = layouts.made(kind, tmp_path / "root")
    assert data.model_dump()["kind"] == kind and data.version >= 1
    found = layouts.packed(data, tmp_path / "packed")
    assert found.image_size == 16 and found.left_out == [] and found.notes == []
    assert sorted(file.name for file in (tmp_path / "packed").iterdir()) == sorted(FILES)
    for part in PARTS:
        assert found.part(part).shape == (len(found.names(part)), 16, 16, 3)
        assert (tmp_path / "packed" / f"{part}.txt").read_text().splitlines() == found.names(part)
        assert len(set(found.names(part))) == len(found.names(part)) > 0
        groups = found.groups(part)
        assert groups is None or len(groups) == len(found.names(part))


@pytest.mark.parametrize("kind", KINDS)
def test_the_identity_is_json_and_leaves_out_what_decides_no_pixel(kind: str, tmp_path: Path) -> None:
    data = layouts.made(kind, tmp_path / "root")
    identity = data.identity()
    assert json.loads(json.dumps(identity)) == identity and not data.ABOUT & set(identity)
    assert str(tmp_path) not in json.dumps(identity)
    about: dict[str, Any] = {"like": "Places2", "licence": "mine", "variants": ["proposed"]}
    assert data.model_copy(update=about).identity() == identity


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_under_which_terms_and_like_what(kind: str, tmp_path: Path) -> None:
    data = layouts.made(kind, tmp_path / "root")
    assert (data.licence is None) == (kind == "folder")
    assert data.like == {"celeba": "CelebA", "imagenet": "ImageNet", "places2": "Places2"}.get(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stops", [(1,), (3, 4), (2, 2, 2, 3)])
def test_an_interrupted_packing_goes_on_and_ends_with_the_same_bytes(
    kind: str, stops: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "REPORT_EVERY", 1)
    data = layouts.made(kind, tmp_path / "root")
    layouts.packed(data, tmp_path / "whole")
    place = tmp_path / "stopped"
    place.mkdir()
    begun: list[int] = []
    for stop in stops:
        told: list[int] = []

        def report(done: int, total: int, told: list[int] = told, stop: int = stop) -> None:
            told.append(done)
            if len(told) > stop:
                raise Interrupted

        with pytest.raises(Interrupted):
            data.pack(16, place, report)
        begun.append(told[0])
    assert begun == [sum(stops[:count]) for count in range(len(stops))]  # nothing is read twice
    data.pack(16, place, layouts.silent)
    assert content(place) == content(tmp_path / "whole")


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_changes_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = layouts.made(kind, tmp_path / "root")
    for threads in (1, 3, 8):
        monkeypatch.setattr("study.data.sets.images.processors", lambda threads=threads: threads)
        layouts.packed(data, tmp_path / str(threads))
    assert content(tmp_path / "1") == content(tmp_path / "3") == content(tmp_path / "8")


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_plans_it_and_names_a_wrong_option(kind: str, tmp_path: Path) -> None:
    options = layouts.made(kind, tmp_path / "root").model_dump(mode="json", exclude_none=True)
    plan, store = tiny.planned(tmp_path, data={"photos": options})
    tiny.made(plan, store, [tiny.stage_of(plan, "data").key])
    key = tiny.stage_of(plan, "data").key
    assert set(store.manifest(key)["files"]) == set(FILES)  # the digests of the splits too
    assert Packed(store.verified(key)).part("test").dtype == np.uint8
