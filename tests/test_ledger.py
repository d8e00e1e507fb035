"""The folder of a recipe's artefacts: what is finished stays, and nothing else counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.errors import OutputError, PlanError, ResumeRefused, RunBusy, RunError
from llmaug.training.ledger import Ledger
from llmaug.training.ledger_files import difference, digest_of

RECIPE = {"model": "minilm"}


def run(folder: Path, *, batch: int = 64, alpha: float = 0.05, **options: Any) -> list[str]:
    """Mine, train and gate, each reading the one before; the stages that were not done yet."""
    worked = []
    with Ledger(folder, RECIPE, **options) as ledger:
        before = ""
        for name, settings in (("mine", {}), ("train", {"batch": batch}), ("gate", {"a": alpha})):
            with ledger.stage(name, inputs={"settings": settings, "before": before}) as stage:
                if not stage.done:
                    worked.append(name)
                    (stage.folder / "deep").mkdir(exist_ok=True)
                    (stage.folder / "deep" / "result").write_text(f"{name} {settings} {before}")
                    (stage.work / "part").write_text("half")
                    stage.counts["rows"] = len(name)
                assert stage.counts == {"rows": len(name)}
            before = stage.digest
    return worked


def one_stage(folder: Path, *, name: str = "mine", link: bool = False, **inputs: Any) -> None:
    with Ledger(folder, RECIPE) as ledger, ledger.stage(name, inputs=inputs) as stage:
        if link:
            (stage.folder / "link").symlink_to("/etc/hostname")


def fail(ledger: Ledger, **inputs: Any) -> None:
    with ledger.stage("mine", inputs=inputs) as stage:
        (stage.work / "part").write_text("half")
        raise ValueError("stop")


def manifest(folder: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


def test_finished_stages_are_not_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    assert run(folder) == ["mine", "train", "gate"]
    before = (folder / "manifest.json").read_bytes()
    assert run(folder) == []
    assert (folder / "manifest.json").read_bytes() == before
    written = manifest(folder)
    assert written["recipe"] == RECIPE
    assert {"llmaug", "python"} <= written["versions"].keys()
    assert list(written["stages"]) == ["mine", "train", "gate"]
    entry = written["stages"]["train"]
    assert entry["counts"] == {"rows": 5}
    assert entry["seconds"] >= 0
    assert list(entry["files"]) == ["deep/result"]
    assert not (folder / "train" / "work").exists()


def test_a_changed_setting_is_refused_and_named(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(ResumeRefused, match=r"stage train .*settings\.batch: 64 there, 32 now"):
        run(tmp_path, batch=32)
    assert run(tmp_path) == []
    assert run(tmp_path, batch=32, fresh_from="train") == ["train", "gate"]


def test_a_later_setting_does_not_touch_earlier_stages(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(ResumeRefused, match=r"stage gate .* --fresh-from gate"):
        run(tmp_path, alpha=0.1)
    assert run(tmp_path, alpha=0.1, fresh_from="gate") == ["gate"]


def test_fresh_deletes_stages_and_nothing_else(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "train" / "left").write_text("over")
    assert run(tmp_path, fresh=True) == ["mine", "train", "gate"]
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not (tmp_path / "train" / "left").exists()


def test_a_failed_stage_keeps_its_work(tmp_path: Path) -> None:
    with Ledger(tmp_path, RECIPE) as ledger:
        with pytest.raises(ValueError, match="stop"):
            fail(ledger, a=1)
        with ledger.stage("mine", inputs={"a": 1}) as again:
            assert not again.done
            assert (again.work / "part").read_text() == "half"
    assert "files" in manifest(tmp_path)["stages"]["mine"]


def test_work_of_other_inputs_is_not_gone_on_from(tmp_path: Path) -> None:
    with Ledger(tmp_path, RECIPE) as ledger, pytest.raises(ValueError, match="stop"):
        fail(ledger, a=1)
    with pytest.raises(ResumeRefused, match="another a: 1"):
        one_stage(tmp_path, a=2)


def test_a_changed_file_is_refused_and_a_missing_one_made_again(tmp_path: Path) -> None:
    run(tmp_path)
    result = tmp_path / "train" / "deep" / "result"
    content = result.read_text()
    for wrong, what in ((content[::-1], "has changed since"), (content + "x", "its size since")):
        result.write_text(wrong)
        with pytest.raises(RunError, match=what):
            run(tmp_path)
    result.unlink()
    assert run(tmp_path) == ["train"]
    assert result.read_text() == content


def test_links_are_not_vouched_for(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a regular file"):
        one_stage(tmp_path, link=True)


def test_only_one_process_works_in_a_folder(tmp_path: Path) -> None:
    with Ledger(tmp_path, RECIPE), pytest.raises(RunBusy, match="another process"):
        Ledger(tmp_path, RECIPE)
    Ledger(tmp_path, RECIPE).close()


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match=r"holds thesis\.tex"):
        Ledger(tmp_path, RECIPE, fresh=True)
    (tmp_path / "thesis.tex").unlink()
    run(tmp_path)
    (tmp_path / "index").mkdir()
    with pytest.raises(RunError, match="no stage made it"):
        one_stage(tmp_path, name="index")
    with pytest.raises(OutputError, match="mkdir -p"):
        Ledger(tmp_path / "no" / "such", RECIPE)


def test_unknown_stages(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no stage 'trian'; did you mean train"):
        Ledger(tmp_path, RECIPE, fresh_from="trian")
    with pytest.raises(PlanError, match="no stage 'minne'"):
        one_stage(tmp_path, name="minne")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"format": "llmaug training folder 2", "stages": {}}',
        '{"format": "llmaug training folder 1", "stages": {"../x": {"inputs": {}}}}',
        '{"format": "llmaug training folder 1", "stages": {"mine": {"files": {"a": 1}}}}',
    ],
)
def test_damaged_manifests_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match=r"manifest\.json is"):
        Ledger(tmp_path, RECIPE, fresh=True)


def test_a_stage_that_was_being_deleted_is_deleted(tmp_path: Path) -> None:
    run(tmp_path)
    written = dict(manifest(tmp_path))
    written["stages"]["gate"] = {"deleting": True}
    (tmp_path / "manifest.json").write_text(json.dumps(written))
    (tmp_path / "gate" / "half").write_text("gone")
    assert run(tmp_path) == ["gate"]
    assert not (tmp_path / "gate" / "half").exists()


KILLED = """
import os, signal, sys
from llmaug.training.ledger import Ledger
with Ledger(sys.argv[1], {}) as ledger:
    with ledger.stage("mine", inputs={}) as stage:
        (stage.folder / "a").write_text("1")
    with ledger.stage("train", inputs={"before": stage.digest}) as stage:
        (stage.work / "checkpoint").write_text("10")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_what_it_finished(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env={**os.environ})
    assert ended.returncode == -signal.SIGKILL
    with Ledger(tmp_path, {}) as ledger:
        with ledger.stage("mine", inputs={}) as stage:
            assert stage.done
        with ledger.stage("train", inputs={"before": stage.digest}) as stage:
            assert not stage.done
            assert (stage.work / "checkpoint").read_text() == "10"


leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
values = st.recursive(leaves, lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3))


@given(values, values)
def test_values_differ_where_their_digests_do(old: Any, new: Any) -> None:
    field, there, now = difference(old, new)
    if field:
        assert there != now
    if digest_of(old) == digest_of(new):
        assert not field
