"""A checkpoint that is not exactly what was saved is reported and set aside; the stage still ends with its bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from study.plan.graph import Plan
from study.running.make import make
from study.store import Damaged, Store
from study.training.checkpoint import read_checkpoint

DAMAGES = 200
IN_FULL = 25  # every so many damages are followed to the end of the stage


def flipped(file: Path, dice: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    file.write_bytes(content)


def cut(file: Path, dice: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: dice.randrange(len(content))])


def zeroed(file: Path, dice: random.Random) -> None:
    content = bytearray(file.read_bytes())
    start = dice.randrange(len(content) - 1)
    content[start : start + 512] = bytes(len(content[start : start + 512]))
    file.write_bytes(content)


def foreign(file: Path, dice: random.Random) -> None:
    file.write_bytes(dice.randbytes(dice.choice([0, 8, 5000])))


def rewritten(change: Callable[[dict[str, torch.Tensor], str, random.Random], None]) -> Callable[..., None]:
    """A damage that leaves a valid file: its tensors are changed, its description is kept."""

    def damage(file: Path, dice: random.Random) -> None:
        tensors = load_file(file)
        with safe_open(file, framework="pt") as opened:
            written = opened.metadata()
        change(tensors, dice.choice(sorted(name for name in tensors if tensors[name].numel())), dice)
        save_file(tensors, file, written)

    return damage


def missing(tensors: dict[str, torch.Tensor], name: str, dice: random.Random) -> None:
    del tensors[name]


def other_type(tensors: dict[str, torch.Tensor], name: str, dice: random.Random) -> None:
    tensors[name] = tensors[name].to(torch.float16 if tensors[name].dtype == torch.float64 else torch.float64)


def not_a_number(tensors: dict[str, torch.Tensor], name: str, dice: random.Random) -> None:
    tensors[name] = torch.full_like(tensors[name].float(), float("nan"))


def other_shape(tensors: dict[str, torch.Tensor], name: str, dice: random.Random) -> None:
    tensors[name] = tensors[name].reshape(1, -1).repeat(2, 1)


def other_step(file: Path, dice: random.Random) -> None:
    tensors = load_file(file)
    with safe_open(file, framework="pt") as opened:
        written = opened.metadata()
    facts = json.loads(written["facts"])
    save_file(tensors, file, {**written, "facts": json.dumps({**facts, "step": facts["step"] + 1})})


WAYS = {
    "a bit flipped": flipped,
    "cut short": cut,
    "zeroed": zeroed,
    "not a checkpoint": foreign,
    "a tensor missing": rewritten(missing),
    "another type": rewritten(other_type),
    "another shape": rewritten(other_shape),
    "not a number": rewritten(not_a_number),
    "another step": other_step,
}


def stopped(folder: Path, kind: str) -> tuple[Plan, Store, list[str]]:
    """A stage, or a pass of critics, that was stopped at its third step."""
    plan, store = tiny.planned(folder)
    tiny.made(plan, store)
    keys = [key for key, stage in plan.stages.items() if stage.kind == kind]
    halfway = tiny.inputs_of(plan, store, keys, folder / "halfway")
    assert tiny.stopped_at(2 * len(keys), keys, plan, halfway)
    return plan, halfway, keys


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pretrain", "critic", "joint"])
def test_damages_of_every_kind(kind: str, tmp_path: Path) -> None:
    plan, store, keys = stopped(tmp_path, kind)
    undisturbed = Store(tmp_path / "out")
    sound = {key: store.checkpoint(key).read_bytes() for key in keys}
    for number in range(DAMAGES // 3 + 1):
        dice = random.Random(f"{kind} {number}")
        key, way = dice.choice(keys), list(WAYS)[number % len(WAYS)]
        file = store.checkpoint(key)
        facts, tensors = read_checkpoint(file, key)
        WAYS[way](file, dice)
        try:
            again, others = read_checkpoint(file, key)
        except Damaged:
            pass
        else:  # a byte that says nothing, such as a space of the header
            assert again == facts and tensors.keys() == others.keys(), way
            assert all(torch.equal(value, others[name]) for name, value in tensors.items()), way
        if number % IN_FULL == 0:
            watch = tiny.Onlooker()
            make(keys, plan, store, watch, tiny.CPU)
            assert all(tiny.published(store, one) == tiny.published(undisturbed, one) for one in keys), way
            assert len(watch.notes) == 1 and "is set aside in" in watch.notes[0], way
            assert (store.out / "damaged" / f"{key}.checkpoint.safetensors").exists()
            for one in keys:
                store.set_aside(one)
        for one in keys:
            store.files(one)
        for one, content in sound.items():
            store.checkpoint(one).write_bytes(content)


def test_a_checkpoint_of_another_stage_is_not_taken(tmp_path: Path) -> None:
    plan, store, keys = stopped(tmp_path, "critic")
    first, second = map(store.checkpoint, keys[:2])
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(Damaged, match=f"this checkpoint is one of {keys[1]}"):
        read_checkpoint(first, keys[0])
    watch = tiny.Onlooker()
    make(keys, plan, store, watch, tiny.CPU)
    undisturbed = Store(tmp_path / "out")
    assert all(tiny.published(store, one) == tiny.published(undisturbed, one) for one in keys)
    assert len(watch.notes) == 2
