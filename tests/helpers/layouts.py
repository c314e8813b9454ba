"""Small fake copies of data sets as they are distributed: folders, archives and lists, with tiny images."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from study.data import DATASETS, Packed
from study.data.base import DataSet

Tree = Mapping[str, bytes]
ATTRIBUTES = ("Eyeglasses", "Male", "Smiling")


def image(shade: int, size: tuple[int, int] = (12, 14), kind: str = "JPEG") -> bytes:
    """An image file of noise that no other shade has."""
    pixels = np.random.default_rng(shade).integers(0, 256, (*size[::-1], 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def png(size: tuple[int, int], depth: int, colour: int, lines: bytes) -> bytes:
    """A PNG by its specification, for what Pillow does not write. Each of ``lines`` begins with its filter."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, body) for name, body in parts)


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def signed_tiff(pixels: NDArray[np.int16]) -> io.BytesIO:
    """A grey TIFF of signed numbers of 16 bits, which Pillow does not write."""
    entries = [(256, 3, pixels.shape[1]), (257, 3, pixels.shape[0]), (258, 3, 16), (259, 3, 1), (262, 3, 1)]
    entries += [(273, 4, 8 + 2 + 12 * 9 + 4), (277, 3, 1), (279, 4, pixels.nbytes), (339, 3, 2)]
    made = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return io.BytesIO(header + made + struct.pack("<I", 0) + pixels.astype("<i2").tobytes())


def deep_png(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits a channel, of pixels (height, width, 3)."""
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    return png(pixels.shape[1::-1], 16, 2, lines)


def images(names: Iterable[str], first: int = 0) -> dict[str, bytes]:
    return {name: image(first + place) for place, name in enumerate(names)}


def as_folder(folder: Path, tree: Tree) -> Path:
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def as_zip(file: Path, tree: Tree) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tree.items():
            archive.writestr(name, content)
    return file


def tar_bytes(tree: Tree) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in tree.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def as_tar(file: Path, tree: Tree) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(tar_bytes(tree))
    return file


def celeba_names(count: int = 40) -> list[str]:
    return [f"{number:06d}.jpg" for number in range(1, count + 1)]


def celeba(root: Path, form: str = "zip", count: int = 40, files: Iterable[str] = ("identity", "eval", "attr")) -> Path:
    """CelebA as its authors distribute it ('zip', 'folder', 'img') or as Kaggle has it ('kaggle').

    Four images a person; partitions of six tenths, two and two, people in one each.
    """
    names = celeba_names(count)
    tree = images(names)
    folders = {"zip": "", "folder": "img_align_celeba/", "img": "", "kaggle": "img_align_celeba/img_align_celeba/"}
    if form in ("zip", "img"):
        inside = {f"img_align_celeba/{name}": content for name, content in tree.items()}
        as_zip(root / ("Img/" if form == "img" else "") / "img_align_celeba.zip", inside)
    else:
        as_folder(root, {f"{folders[form]}{name}": content for name, content in tree.items()})
    anno, evaluation = ("Anno/", "Eval/") if form == "img" else ("", "")
    parts = [0 if place < 0.6 * count else 1 if place < 0.8 * count else 2 for place in range(count)]
    signs = {name: [1 if (place >> bit) & 1 else -1 for bit in range(3)] for place, name in enumerate(names)}
    texts = {
        "identity": (f"{anno}identity_CelebA.txt", [f"{name} {1 + place // 4}" for place, name in enumerate(names)])
    }
    if form == "kaggle":
        rows = [f"{name},{part}" for name, part in zip(names, parts, strict=True)]
        texts["eval"] = ("list_eval_partition.csv", ["image_id,partition", *rows])
        rows = [",".join([name, *map(str, values)]) for name, values in signs.items()]
        texts["attr"] = ("list_attr_celeba.csv", [",".join(["image_id", *ATTRIBUTES]), *rows])
    else:
        texts["eval"] = (
            f"{evaluation}list_eval_partition.txt",
            [f"{n} {p}" for n, p in zip(names, parts, strict=True)],
        )
        rows = [f"{name}  {'  '.join(map(str, values))}" for name, values in signs.items()]
        texts["attr"] = (f"{anno}list_attr_celeba.txt", [str(count), " ".join(ATTRIBUTES), *rows])
    as_folder(root, {texts[key][0]: "\n".join([*texts[key][1], ""]).encode() for key in files})
    return root


def imagenet(root: Path, form: str = "folder", classes: int = 4, each: int = 8, val: int = 10) -> Path:
    """ILSVRC 2012: 'folder' as Kaggle's archive unpacks, 'plain' with train/ and val/, 'tar' as it is distributed."""
    train = {f"n{c:08d}": images([f"n{c:08d}_{i}.JPEG" for i in range(each)], 100 * c) for c in range(classes)}
    test = images([f"ILSVRC2012_val_{i:08d}.JPEG" for i in range(1, val + 1)], 5000)
    if form == "tar":
        as_tar(root / "ILSVRC2012_img_train.tar", {f"{name}.tar": tar_bytes(tree) for name, tree in train.items()})
        as_tar(root / "ILSVRC2012_img_val.tar", test)
        return root
    base = root / "ILSVRC/Data/CLS-LOC" if form == "folder" else root
    as_folder(base / "train", {f"{c}/{name}": content for c, tree in train.items() for name, content in tree.items()})
    classed = {f"n{place % classes:08d}/{name}": content for place, (name, content) in enumerate(test.items())}
    as_folder(base / "val", test if form == "folder" else classed)
    return root


def places2(root: Path, form: str = "tar", lists: bool = True, each: int = 10) -> Path:
    """Places365's small images: 'tar' as they are distributed, 'folder' unpacked."""
    classes = ("a/airfield", "a/alley", "f/field/wild")
    train = images([f"{name}/{i:08d}.jpg" for name in classes for i in range(1, each + 1)])
    val = images([f"Places365_val_{i:08d}.jpg" for i in range(1, 13)], 7000)
    whole = {f"data_256/{name}": content for name, content in train.items()}
    tests = {f"val_256/{name}": content for name, content in val.items()}
    if form == "tar":
        as_tar(root / "train_256_places365standard.tar", whole)
        as_tar(root / "val_256.tar", tests)
    else:
        as_folder(root, {**whole, **tests})
    if lists:
        labelled = [f"/{name} {next(i for i, c in enumerate(classes) if name.startswith(c))}" for name in train]
        as_folder(root, {"places365_train_standard.txt": "\n".join([*labelled, ""]).encode()})
        as_folder(root, {"places365_val.txt": "".join(f"{name} 7\n" for name in val).encode()})
    return root


def silent(done: int, total: int) -> None:
    """A report that does nothing."""


def packed(data: DataSet, place: Path, size: int = 16) -> Packed:
    place.mkdir(parents=True, exist_ok=True)
    data.pack(size, place, silent)
    return Packed(place)


def made(kind: str, root: Path, **options: Any) -> DataSet:
    """A small data set of any kind of the registry, with a made-up copy where it reads files."""
    if kind == "faces":
        return DATASETS[kind].model_validate({"train": 6, "validation": 2, "test": 3, **options})
    counts = {"train": 12, "validation": 3, "test": 6}
    copies = {"celeba": celeba, "imagenet": imagenet, "places2": places2}
    if kind in copies:
        return DATASETS[kind].model_validate({"root": str(copies[kind](root)), **counts, **options})
    as_folder(root, images([f"{'ab'[i % 2]}/{i:02}.jpg" for i in range(20)]))
    return DATASETS[kind].model_validate({"root": str(root), **options})
