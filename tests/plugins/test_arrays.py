"""Samples from arrays in files: which values become what, and what is told of files that can't be used."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from building import built
from gentoolkit.api import Array, Labels
from gentoolkit.errors import RecipeError, UsageError
from gentoolkit.recipe import load_recipe

SPLITS = ("train", "held_out")
#: Sample i consists of i and numbers close to it.
SAMPLES = np.arange(30)[:, None, None] + np.linspace(0, 0.5, 6).reshape(2, 3)


def saved(folder, suffix, **arrays):
    """Save arrays and return the file."""
    file = folder / f"{'_'.join(arrays)}.{suffix}"
    if suffix == "npy":
        np.save(file, *arrays.values())
    elif suffix == "npz":
        np.savez(file, **arrays)
    else:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, file)
    return str(file)


def arrays(split="train", **fields):
    return built("dataset", "arrays", {"split": split, "seed": 0}, **{"held_out": 0.3, **fields})


def both(**fields):
    """Return all samples, and all labels or conditions, of both splits."""
    parts = [part.batch(np.arange(len(part))) for part in (arrays(split, **fields) for split in SPLITS)]
    conditions = [part.condition for part in parts if part.condition is not None]
    return torch.cat([part.x1 for part in parts]), torch.cat(conditions) if conditions else None


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors"])
@pytest.mark.parametrize("kind", ["float64", "float32", "float16", ">f4"])
def test_all_samples_are_in_one_of_the_splits_as_float32(tmp_path, suffix, kind):
    if suffix == "safetensors" and kind == ">f4":
        pytest.skip("safetensors files are little-endian")
    samples = SAMPLES.astype(kind)
    x, condition = both(samples=saved(tmp_path, suffix, x=samples))
    assert x.dtype == torch.float32
    assert condition is None
    assert torch.equal(x[x[:, 0, 0].argsort()], torch.from_numpy(samples.astype(np.float32)))


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_an_array_is_chosen_by_its_name(tmp_path, suffix):
    file = saved(tmp_path, suffix, a=SAMPLES, b=-SAMPLES, c=np.arange(30) % 4)
    x, labels = both(samples=file, samples_key="b", labels=file, labels_key="c")
    assert (x <= 0).all()
    assert torch.equal(labels, -x[:, 0, 0].long() % 4)


def test_conditions_have_any_shape(tmp_path):
    conditions = np.stack([SAMPLES, -SAMPLES], axis=1).astype(np.float16)
    x, condition = both(samples=saved(tmp_path, "npy", x=SAMPLES), conditions=saved(tmp_path, "npy", c=conditions))
    assert condition.dtype == torch.float32
    assert torch.equal(condition[:, 0], x.half().float())
    assert torch.equal(condition[:, 1], -condition[:, 0])


def test_integers_are_scaled_and_channels_come_first(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 5, 3), dtype=np.uint8)
    images[:, 0, 0, :2] = 0, 255
    x, _ = both(samples=saved(tmp_path, "npy", x=images), value_range=(0, 255), channels_last=True)
    assert x.shape == (30, 3, 4, 5)
    assert x.is_contiguous()
    assert (x[:, 0, 0, 0] == -1).all()
    assert (x[:, 1, 0, 0] == 1).all()
    expected = {row.tobytes() for row in images.transpose(0, 3, 1, 2)}
    assert {row.tobytes() for row in ((x + 1) * 127.5).round().to(torch.uint8).numpy()} == expected


def test_the_spec_follows_the_files(tmp_path):
    def spec(**fields):
        return load_recipe("recipes/smoke.yaml", overrides(held_out=0.3, **fields)).data_spec

    images = saved(tmp_path, "npy", x=np.ones((30, 4, 5, 3)))
    labels = saved(tmp_path, "npy", y=np.arange(30) % 7)
    found = spec(samples=images, value_range=[0, 1], channels_last=True, labels=labels)
    assert (found.shape, found.condition, found.value_range) == ((3, 4, 5), Labels(7), (-1, 1))
    found = spec(samples=images, conditions=images)
    assert (found.shape, found.condition, found.value_range) == ((4, 5, 3), Array((4, 5, 3)), None)


def overrides(**fields):
    fields = {"type": "arrays", **fields}
    mlp = ["backbone=mlp", "metrics=[]", "train.condition_dropout=0", "guidance=[]"]
    return [f"dataset={json.dumps(fields)}", *mlp]


def test_a_sample_stays_in_its_split_when_others_are_added(tmp_path):
    before = [arrays(split, samples=saved(tmp_path, "npy", x=SAMPLES)) for split in SPLITS]
    more = np.concatenate([-SAMPLES - 1, SAMPLES[::-1], SAMPLES[:5]])
    after = [arrays(split, samples=saved(tmp_path, "npy", y=more)) for split in SPLITS]
    firsts = [{float(part.samples[row, 0, 0]) for row in part.rows} for part in (*before, *after)]
    assert firsts[0] <= firsts[2]
    assert firsts[1] <= firsts[3]
    assert not firsts[2] & firsts[3]


def test_a_file_is_mapped_and_not_read(tmp_path):
    for suffix in ("npy", "safetensors"):
        assert isinstance(arrays(samples=saved(tmp_path, suffix, x=SAMPLES)).samples, np.memmap)


def npy(array, **settings):
    stream = io.BytesIO()
    np.save(stream, array, **settings)
    return stream.getvalue()


def npz(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def tensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(kind="F32", shape=(2, 2), offsets=(0, 16)):
    return {"x": {"dtype": kind, "shape": list(shape), "data_offsets": list(offsets)}}


GOOD, LABELS = npy(SAMPLES), np.arange(30) % 3
OBJECTS = npy(np.array([{}, []], dtype=object), allow_pickle=True)

#: A file with the samples, other settings, and what is told of them.
WRONG = {
    "empty": ("x.npy", b"", {}, "is damaged or not of the type that its suffix says: No data left in file"),
    "cut off": ("x.npy", GOOD[:-8], {}, "is damaged or not"),
    "no header": ("x.npy", GOOD[:20], {}, "is damaged or not"),
    "text": ("x.npy", b"1,2,3\n4,5,6\n", {}, "has Python objects; save an array of numbers instead"),
    "objects": ("x.npy", OBJECTS, {}, "is damaged or not"),
    "objects in an archive": ("x.npz", npz(x=OBJECTS), {}, "has Python objects; save an array of numbers instead"),
    "no archive": ("x.npz", GOOD, {}, "is damaged or not of the type that its suffix says: it is not an arc"),
    "half an archive": ("x.npz", npz(x=GOOD)[:500], {}, "it is not an archive"),
    "empty archive": ("x.npz", npz(), {}, "has no arrays"),
    "two arrays": ("x.npz", npz(a=GOOD, b=GOOD), {}, "has the arrays a, b; set samples_key"),
    "no such array": ("x.npz", npz(aa=GOOD, b=GOOD), {"samples_key": "a"}, "has the arrays aa, b; there is no 'a'"),
    "other suffix": ("x.pt", GOOD, {}, "ends in '.pt'; expected .npy, .npz or .safetensors"),
    "complex": ("x.npy", npy(SAMPLES * 1j), {}, "has values of type complex128; expected real numbers"),
    "text array": ("x.npy", npy(np.array([["a"], ["b"]])), {}, "has values of type <U1; expected real numbers"),
    "booleans": ("x.npy", npy(SAMPLES > 3), {}, "has values of type bool; expected real numbers"),
    "one number each": (
        "x.npy",
        npy(np.arange(9.0)),
        {},
        "has an array of shape (9,); expected (N, ...), without zeros",
    ),
    "no samples": ("x.npy", npy(np.ones((0, 3))), {}, "has an array of shape (0, 3); expected (N, ...), without zeros"),
    "integers": ("x.npy", npy(LABELS[:, None]), {}, "has numbers of type int64; set value_range"),
    "no image": ("x.npy", GOOD, {"channels_last": True}, "has samples of shape (2, 3), but channels_last needs"),
    "range": ("x.npy", GOOD, {"value_range": [1, 1]}, "value_range must be two numbers, the smaller first"),
    "no safetensors": ("x.safetensors", b"", {}, "is damaged or not"),
    "long header": ("x.safetensors", b"\xff" * 8, {}, "its header is too long"),
    "no JSON": ("x.safetensors", tensors(b"hello"), {}, "is damaged or not"),
    "short data": ("x.safetensors", tensors(entry(), bytes(8)), {}, "is damaged or not"),
    "sizes": (
        "x.safetensors",
        tensors(entry(shape=(9, 9)), bytes(16)),
        {},
        "sizes in its header contradict each other",
    ),
    "bfloat16": ("x.safetensors", tensors(entry("BF16"), bytes(16)), {}, "has numbers of type BF16; expected one of"),
    "no entry": ("x.safetensors", tensors({}), {}, "has no arrays"),
    "key alone": ("x.npy", GOOD, {"labels_key": "y"}, "labels_key needs labels"),
    "labels of another number": ("x.npy", GOOD, {"labels": LABELS[1:]}, "has 29 rows, but there are 30 samples"),
    "labels in text": (
        "x.npy",
        GOOD,
        {"labels": np.array(["a"] * 30)},
        "has values of type <U1; expected real numbers",
    ),
    "fractions": (
        "x.npy",
        GOOD,
        {"labels": LABELS / 2},
        "has labels of type float64 and shape (30,); expected integers",
    ),
    "one-hot": (
        "x.npy",
        GOOD,
        {"labels": np.eye(30, dtype=int)},
        "has labels of type int64 and shape (30, 30); expected",
    ),
    "negative": ("x.npy", GOOD, {"labels": LABELS - 1}, "has the label -1; expected integers from 0"),
    "far apart": (
        "x.npy",
        GOOD,
        {"labels": LABELS * 100},
        "has the label 200, but only 30 rows; number the classes from 0",
    ),
    "flat conditions": (
        "x.npy",
        GOOD,
        {"conditions": LABELS * 1.0},
        "has conditions of shape (30,); expected (N, ...)",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_a_sentence_before_anything_starts(tmp_path, wrong):
    name, content, fields, expected = WRONG[wrong]
    (tmp_path / name).write_bytes(content)
    settings = {
        name: saved(tmp_path, "npy", **{name: value}) if isinstance(value, np.ndarray) else value
        for name, value in fields.items()
    }
    with pytest.raises(RecipeError) as error:
        load_recipe("recipes/smoke.yaml", overrides(samples=str(tmp_path / name), **settings))
    (problem,) = error.value.problems
    assert expected in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("value", "settings", "expected"),
    [
        (np.nan, {}, r"x\.npy: sample 7 is infinite or NaN as float32, at \(1, 2\)"),
        (-np.inf, {}, r"x\.npy: sample 7 is infinite or NaN as float32, at \(1, 2\)"),
        (1e39, {}, r"x\.npy: sample 7 is infinite or NaN as float32, at \(1, 2\)"),
        (99.0, {"value_range": (0, 40)}, r"x\.npy: sample 7 is outside value_range \[0\.0, 40\.0\], at \(1, 2\)"),
    ],
)
def test_the_place_of_a_wrong_value_is_told(tmp_path, value, settings, expected):
    samples = SAMPLES.copy()
    samples[7, 1, 2] = value
    with pytest.raises(UsageError, match=expected):
        arrays(samples=saved(tmp_path, "npy", x=samples), **settings)


def test_the_place_of_a_wrong_condition_is_told(tmp_path):
    conditions = np.ones((30, 2))
    conditions[3, 1] = np.nan
    with pytest.raises(UsageError, match=r"c\.npy: condition 3 is infinite or NaN as float32, at \(1,\)"):
        arrays(samples=saved(tmp_path, "npy", x=SAMPLES), conditions=saved(tmp_path, "npy", c=conditions))
