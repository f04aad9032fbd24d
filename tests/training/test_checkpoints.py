"""Checkpoints under every kind of damage."""

import errno
import hashlib
import json
import os

import pytest
import safetensors.torch
import torch

from gentoolkit.errors import NoCheckpointError, OutOfSpaceError
from gentoolkit.training import Checkpoint, list_checkpoints, load_checkpoint, newest_checkpoint
from gentoolkit.training.checkpoints import save_checkpoint
from gentoolkit.training.manifest import FORMAT


def checkpoint(step):
    shared = torch.arange(4.0) + step
    return Checkpoint(step, {"weights": {"a": shared, "tied": shared, "half": shared.bfloat16()}}, {"x": [1, 0.1]})


def save(root, *steps, keep=2):
    for step in steps:
        save_checkpoint(root, checkpoint(step).copied(), keep)


def steps(root):
    return [int(path.name.removeprefix("step-")) for path in list_checkpoints(root)]


def test_it_comes_back_bit_for_bit(tmp_path):
    save(tmp_path, 3)
    loaded = newest_checkpoint(tmp_path)
    assert (loaded.step, loaded.numbers) == (3, {"x": [1, 0.1]})
    for name, tensor in checkpoint(3).tensors["weights"].items():
        assert torch.equal(loaded.tensors["weights"][name], tensor)
        assert loaded.tensors["weights"][name].dtype == tensor.dtype


def test_a_copy_stays_as_it_was():
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    copy = Checkpoint(1, {"weights": {"a": weight, "turned": weight.t()}}, {"x": 1}).copied()
    with torch.no_grad():
        weight += 1
    assert (copy.step, copy.numbers) == (1, {"x": 1})
    assert not any(tensor.any() or tensor.requires_grad for tensor in copy.tensors["weights"].values())
    assert copy.tensors["weights"]["turned"].is_contiguous()


def test_the_newest_ones_are_kept(tmp_path):
    save(tmp_path, 2, 10, 9, 30)
    assert steps(tmp_path) == [30, 10]


def damage_manifest(folder):
    (folder / "manifest.json").write_text("{")


def damage_size(folder):
    (folder / "weights.safetensors").write_bytes(b"")


def damage_bit(folder):
    file = folder / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


def damage_missing(folder):
    (folder / "state.json").unlink()


def damage_kind(folder):
    (folder / "manifest.json").write_text("[]")


def damage_list(folder):
    (folder / "manifest.json").write_text('{"step": 2, "files": {}}')


def change_manifest(change):
    def damage(folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        change(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return damage


def change_file(name, data):
    """Put other data in a file, with its right size and checksum in the manifest."""

    def damage(folder):
        (folder / name).write_bytes(data)
        entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        change_manifest(lambda manifest: manifest["files"][name].update(entry))(folder)

    return damage


def damage_link(folder):
    (folder / "weights.safetensors").rename(folder / "elsewhere")
    (folder / "weights.safetensors").symlink_to(folder / "elsewhere")


def damage_folder(folder):
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere", target_is_directory=True)


SHORTER = {"a": torch.zeros(3), "tied": torch.zeros(3), "half": torch.zeros(3).bfloat16()}
WELL_SUMMED = {
    "no format": change_manifest(lambda manifest: manifest.pop("format")),
    "another format": change_manifest(lambda manifest: manifest.update(format=FORMAT + 1)),
    "another step": change_manifest(lambda manifest: manifest.update(step=3)),
    "a step of text": change_manifest(lambda manifest: manifest.update(step="2")),
    "a negative size": change_manifest(lambda manifest: manifest["files"]["state.json"].update(size=-1)),
    "a huge size": change_manifest(lambda manifest: manifest["files"]["state.json"].update(size=10**30)),
    "files of text": change_manifest(lambda manifest: manifest.update(files="all")),
    "another file": change_manifest(lambda manifest: manifest["files"].update(a=manifest["files"]["state.json"])),
    "a nested manifest": lambda folder: (folder / "manifest.json").write_text("[" * 10**5),
    "a long manifest": lambda folder: os.truncate(folder / "manifest.json", 2**40),
    "undecodable weights": change_file("weights.safetensors", b"\xff" * 64),
    "empty weights": change_file("weights.safetensors", b""),
    "no tensors": change_file("weights.safetensors", safetensors.torch.save({})),
    "another tensor": change_file("weights.safetensors", safetensors.torch.save({"b": torch.zeros(4)})),
    "another shape": change_file("weights.safetensors", safetensors.torch.save(SHORTER)),
    "state of another step": change_file("state.json", b'{"step": 1, "x": 1}'),
    "state of step -5": change_file("state.json", b'{"step": -5}'),
    "state of step 10^30": change_file("state.json", b'{"step": 1000000000000000000000000000000}'),
    "state without a step": change_file("state.json", b"{}"),
    "a state that is a list": change_file("state.json", b"[]"),
    "a nested state": change_file("state.json", b"[" * 10**5),
    "a state that is no text": change_file("state.json", b"\xff\xfe\x00"),
    "a link": damage_link,
    "a link to a folder": damage_folder,
}


@pytest.mark.parametrize("case", [*WELL_SUMMED])
def test_checksums_alone_make_no_checkpoint(tmp_path, case):
    save(tmp_path, 1, 2)
    WELL_SUMMED[case](tmp_path / "step-2")
    with pytest.warns(UserWarning, match="step-2 is damaged: .*; using .*step-1 instead"):
        assert newest_checkpoint(tmp_path).step == 1


def test_a_checkpoint_is_read_once(tmp_path, monkeypatch):
    """What is decoded is what was verified: there is no second reading in between which the file may change."""
    save(tmp_path, 1)
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *a, **b: (opened.append(str(path)), real(path, *a, **b))[1])
    newest_checkpoint(tmp_path)
    monkeypatch.undo()
    files = [path for path in opened if path.endswith((".json", ".safetensors"))]
    assert sorted(files) == ["manifest.json", "state.json", "weights.safetensors"]


def test_the_folder_of_one_checkpoint_may_have_any_name(tmp_path):
    save(tmp_path, 1)
    assert load_checkpoint((tmp_path / "step-1").rename(tmp_path / "mine")).step == 1


def test_only_plain_numbers_name_checkpoints(tmp_path):
    for name in ("step-²", "step-٣", "step-007", "step--1", "step-1e3", "step-", "step-" + "9" * 30, "xstep-1"):
        (tmp_path / name).mkdir()
    save(tmp_path, 1)
    assert steps(tmp_path) == [1]


def test_a_number_that_is_missing_or_wrong_is_named(tmp_path):
    save(tmp_path, 1)
    saved = newest_checkpoint(tmp_path)
    assert saved.number("x", list) == [1, 0.1]
    with pytest.raises(NoCheckpointError, match=r"at step 1 cannot be used: state.json has no 'y'"):
        saved.number("y", list)
    with pytest.raises(NoCheckpointError, match=r"at step 1 cannot be used: state.json, 'x': float"):
        saved.number("x", float)


DAMAGES = [damage_list, damage_manifest, damage_size, damage_bit, damage_missing, damage_kind]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_one_is_passed_over(tmp_path, damage):
    save(tmp_path, 1, 2)
    damage(tmp_path / "step-2")
    with pytest.warns(UserWarning, match="step-2 is damaged: .*; using .*step-1 instead"):
        assert newest_checkpoint(tmp_path).step == 1
    with pytest.raises(NoCheckpointError, match="step-2 is not a valid checkpoint"):
        load_checkpoint(tmp_path / "step-2")


def test_damaged_ones_do_not_count_as_kept(tmp_path):
    save(tmp_path, 1, 2)
    damage_bit(tmp_path / "step-2")
    save(tmp_path, 3)
    assert newest_checkpoint(tmp_path).step == 3
    damage_bit(tmp_path / "step-3")
    with pytest.warns(UserWarning, match="step-3 is damaged"):
        assert newest_checkpoint(tmp_path).step == 1


def test_none_at_all_says_what_is_wrong_with_each(tmp_path):
    save(tmp_path, 1)
    damage_bit(tmp_path / "step-1")
    with pytest.raises(
        NoCheckpointError,
        match=r"step-1 is damaged: weights.safetensors does not match .*; start again with: gentool run .*/resolved",
    ):
        newest_checkpoint(tmp_path)


def test_a_crash_before_the_rename_leaves_the_older_one(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def crash(*arguments, **folders):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 2)
    monkeypatch.undo()
    assert newest_checkpoint(tmp_path).step == 1
    save(tmp_path, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1", "step-3"]


def test_a_full_disk_keeps_the_older_one(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutOfSpaceError, match="step 2: the disk is full; earlier checkpoints are kept"):
        save(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1"]


def test_files_are_safetensors_and_json_only(tmp_path):
    save(tmp_path, 1)
    assert sorted(file.name for file in (tmp_path / "step-1").iterdir()) == [
        "manifest.json",
        "state.json",
        "weights.safetensors",
    ]
    assert json.loads((tmp_path / "step-1/manifest.json").read_text())["files"].keys() == {
        "state.json",
        "weights.safetensors",
    }


def test_saving_a_step_again_replaces_it(tmp_path):
    save(tmp_path, 1)
    damage_bit(tmp_path / "step-1")
    save(tmp_path, 1)
    assert newest_checkpoint(tmp_path).step == 1
