"""`data show` and `data pack`: facts, duplicates, the sheet, and what a user sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
import tiny
from commands import command
from gate import PATIENCE_S, Gate
from PIL import Image

from study.config import load
from study.data import Folder, Packed, show
from study.plan.planner import make_plan
from study.store import Store


def smooth(seed: int, side: int = 48) -> Image.Image:
    """A picture of few broad shapes."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A set with split files whose test part holds a copy of a training image, and one recompressed and darker."""
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(12):
        smooth(i).save(root / f"{i:02}.png")
    (root / "copy.png").write_bytes((root / "03.png").read_bytes())
    smooth(4).point(lambda value: int(0.9 * value)).save(root / "darker.jpg", quality=60)
    (root / "damaged.png").write_bytes(b"nothing")
    Image.new("RGB", (3, 40)).save(root / "speck.png")
    (root / "train.txt").write_text("\n".join([*(f"{i:02}.png" for i in range(10)), "damaged.png"]))
    (root / "test.txt").write_text("\n".join(["10.png", "11.png", "copy.png", "darker.jpg", "speck.png"]))
    return root


def facts(photos: Path, tmp_path: Path, size: int = 32) -> dict[str, Any]:
    data = Folder(root=str(photos), train="train.txt", test="test.txt", split_seed=3)
    layouts.packed(data, tmp_path / "packed", size)
    return show.facts(tmp_path / "packed")


def test_the_facts(photos: Path, tmp_path: Path) -> None:
    found = facts(photos, tmp_path, 64)
    assert found["images"] == {"train": 9, "validation": 1, "test": 4} and found["groups"] is None
    assert found["short_sides"] == {"least": 48, "median": 48, "greatest": 48} and found["enlarged"] == 14
    assert found["left_out"]["count"] == 2
    assert found["left_out"]["why"] == {
        "it is no image, or of a format that is not read": 1,
        "it is N x N px; the short side of an image has 8 px at least": 1,
    }
    assert json.loads(json.dumps(found)) == found


def test_copies_and_near_copies_are_found(photos: Path, tmp_path: Path) -> None:
    found = facts(photos, tmp_path)
    pairs: dict[str, list[list[str]]] = {"exact": [], "near": []}
    for entry in found["duplicates"]:
        assert entry["parts"][1] == "test"
        for kind, into in pairs.items():
            into += entry[kind]["first"]
            assert entry[kind]["pairs"] == entry[kind]["images"] == len(entry[kind]["first"])
    assert pairs == {"exact": [["03.png", "copy.png"]], "near": [["04.png", "darker.jpg"]]}


def test_the_sheet(photos: Path, tmp_path: Path) -> None:
    root = layouts.as_folder(tmp_path / "many", layouts.images([f"{i:03}.png" for i in range(400)]))
    layouts.packed(Folder(root=str(root)), tmp_path / "packed", 32)
    file = show.sheet(tmp_path / "packed", tmp_path / "data" / "many.png")
    with Image.open(file) as picture:
        assert picture.size == (8 * 34 + 2, 8 * 34 + 2)
        first = np.asarray(picture)[2:34, 2:34]
    assert (first == Packed(tmp_path / "packed").part("test")[0]).all()
    facts(photos, tmp_path / "few")
    with Image.open(show.sheet(tmp_path / "few" / "packed", tmp_path / "few.png")) as picture:
        assert picture.size == (4 * 34 + 2, 34 + 2)


@pytest.fixture
def study(photos: Path, tmp_path: Path) -> Path:
    """A study file whose other data set is not there."""
    data = {
        "photos": {"kind": "folder", "root": str(photos), "train": "train.txt", "test": "test.txt", "like": "CelebA"},
        "gone": {"kind": "folder", "root": "nowhere"},
    }
    return tiny.write(
        tmp_path, data=data, protocol={"pictures": 2, "mask": {"kind": "files", "root": "no", "hole": "white"}}
    )


def test_pack_makes_the_stage_that_a_run_would(study: Path, tmp_path: Path) -> None:
    done = command("data", "pack", study.name, "photos", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    key = next((tmp_path / "out" / "stages").iterdir()).name
    assert f"packed: out/stages/{key}" in done.stdout and not (tmp_path / "out" / "plan.json").exists()
    file = tiny.write(tmp_path / "again", data={"photos": json.loads(study.read_text())["data"]["photos"]})
    assert key in make_plan(load(file)).stages
    made = (tmp_path / "out" / "stages" / key / "images.npy").stat().st_mtime_ns
    assert command("data", "pack", study.name, "photos", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out" / "stages" / key / "images.npy").stat().st_mtime_ns == made


def test_show_tells_it_all(study: Path, tmp_path: Path) -> None:
    done = command("data", "show", study.name, "photos", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in (
        "like              CelebA",
        "32 x 32 px",
        "left out          2 ",
        "damaged.png: it is no image, or of a format that is not read",
        "speck.png: it is 3 x 40 px; the short side of an image has 8 px at least",
        "of 4 test images in train: ",
        "03.png   test: copy.png",
        "04.png   test: darker.jpg",
        "out/data/photos.png",
        "differ in 12 bits at most",
    ):
        assert part in done.stdout, done.stdout
    assert (tmp_path / "out" / "data" / "photos.png").is_file()
    found = json.loads(command("data", "show", study.name, "photos", "--json", cwd=tmp_path).stdout)
    assert found["name"] == "photos" and found["licence"] is None and Path(found["folder"]).name.startswith("data-")
    assert "32 x 32" not in json.dumps(found) and found["image_size"] == 32


def test_five_kinds_of_strange_files_beside_six_images_are_all_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    root = layouts.as_folder(tmp_path / "photos", layouts.images([f"{i}.jpg" for i in range(6)]))
    layouts.as_folder(
        root, {"a.jpg_large": layouts.image(7), "notes.txt": b"x", ".hidden.jpg": b"x", "Thumbs.db": b"x"}
    )
    Image.fromarray(rng.integers(0, 256, (32, 32)).astype(np.int32)).save(root / "deep.tif")
    (root / "cats").symlink_to("/etc")
    tiny.write(tmp_path, data={"photos": {"kind": "folder", "root": str(root), "train_limit": 4, "split_seed": 1}})
    done = command("data", "show", "tiny.yaml", "photos", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in (
        "left out          2 ",
        "cats: it is a link to a folder outside the root, which is not followed",
        "deep.tif: its pixels have 32 bits, whose range is not known",
        "not chosen        2 of 7 images below the root",
        "not read          2 files are no images by their names and not read: a.jpg_large, notes.txt; 1 of them would",
        "not read          1 hidden files or folders are not read: .hidden.jpg",
        "not read          follow_links: true follows links to folders outside the root",
    ):
        assert part in done.stdout, done.stdout
    assert "note " not in done.stdout and "Thumbs.db" not in done.stdout
    found = json.loads(command("data", "show", "tiny.yaml", "photos", "--json", cwd=tmp_path).stdout)
    assert found["below_root"] == {
        "images": 7,
        "others": {".jpg_large": 1, ".txt": 1},
        "would_decode": ["a.jpg_large"],
        "hidden": [".hidden.jpg"],
        "not_chosen": 2,
    }


def test_faults_are_sentences(study: Path, tmp_path: Path) -> None:
    done = command("data", "show", study.name, "photo", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "'photo' is not a data set of this study; choose gone, photos (did you mean 'photos'?)\n"
    done = command("data", "pack", study.name, "gone", cwd=tmp_path)
    assert done.returncode == 2 and "data.gone.root: there is no folder nowhere" in done.stderr
    (tmp_path / "photos" / "test.txt").write_text("damaged.png\n")
    (tmp_path / "photos" / "train.txt").write_text("00.png\n01.png\n")
    done = command("data", "pack", study.name, "photos", cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "the test part is empty: 1 images could not be used, the first of them damaged.png" in done.stderr


def test_a_damaged_stage_is_packed_again(study: Path, tmp_path: Path) -> None:
    command("data", "pack", study.name, "photos", cwd=tmp_path)
    key = next((tmp_path / "out" / "stages").iterdir()).name
    whole = (tmp_path / "out" / "stages" / key / "images.npy").read_bytes()
    (tmp_path / "out" / "stages" / key / "images.npy").write_bytes(b"other")
    done = command("data", "pack", study.name, "photos", cwd=tmp_path)
    assert done.returncode == 0 and "damaged: " in done.stdout
    assert (tmp_path / "out" / "stages" / key / "images.npy").read_bytes() == whole


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_loses_nothing(sent: signal.Signals, tmp_path: Path) -> None:
    root = layouts.as_folder(tmp_path / "many", layouts.images([f"{i:03}.png" for i in range(120)]))
    tiny.write(tmp_path, data={"many": {"kind": "folder", "root": str(root)}})
    gate = Gate(tmp_path / "gate", "open */images.npy then */many/100.png")  # the plan reads the images too
    environment = {**os.environ, **gate.environment}
    line = [sys.executable, "-m", "study", "data", "pack", "tiny.yaml", "many"]
    process = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    gate.wait(process)
    process.send_signal(sent)
    gate.open()
    said = process.communicate(timeout=PATIENCE_S)[0]
    assert process.returncode == 130 and "interrupted; nothing is lost. Go on with:" in said
    (note,) = (tmp_path / "out" / "making").glob("*/files-*/.packing.json")
    assert 0 < len(json.loads(note.read_text())["seen"]) < 120
    assert command("data", "pack", "tiny.yaml", "many", cwd=tmp_path).returncode == 0
    (folder,) = (tmp_path / "out" / "stages").iterdir()
    assert Store(tmp_path / "out").verified(folder.name) == folder
    whole = layouts.packed(Folder(root=str(root)), tmp_path / "whole", 32)
    assert whole.digest == Packed(folder).digest
    assert (folder / "data.json").read_bytes() == (tmp_path / "whole" / "data.json").read_bytes()
