from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_training import DOCUMENTS, mined_pairs, small_settings, tensors_of
from tiny_retriever import tiny_retriever

from llmaug.errors import ResumeRefused, RunBusy, RunError
from llmaug.training.folder_lock import locked
from llmaug.training.settings import TrainingSettings
from llmaug.training.train import Trained, train

torch = pytest.importorskip("torch")
HEADED = {"head": "linear", "hardness": 2.0, "mixed": 3, "mixed_query": 2, "mix_from": 0.2}

KILLED = """
import os, signal, sys
from small_training import DOCUMENTS, mined_pairs, small_settings
from llmaug.training import checkpoints
from llmaug.training.train import train

base, folder, when = sys.argv[1:]
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def after(done, total, loss):
    if when == "after" and done == 11:
        die()
    if when == "during" and done == 20:
        write = checkpoints.save_file
        checkpoints.save_file = lambda *given: (write(*given), die())
train(base, mined_pairs(), documents=DOCUMENTS.__getitem__, settings=small_settings(LOSS),
      folder=folder, progress=after)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_retriever(tmp_path_factory.mktemp("base"))


def trained(base: Path, folder: Path, settings: TrainingSettings, **options: Any) -> Trained:
    return train(
        base,
        options.pop("mined", mined_pairs()),
        documents=DOCUMENTS.__getitem__,
        settings=settings,
        folder=folder,
        **options,
    )


def stop_after(last: int) -> Any:
    def progress(done: int, total: int, loss: float) -> None:
        if done == last:
            raise KeyboardInterrupt

    return progress


def assert_same(one: Trained, other: Trained) -> None:
    assert one.losses == other.losses
    assert one.pairs == other.pairs
    for part in ("model", "checkpoints"):
        left, right = (tensors_of(it.model.parent / part) for it in (one, other))
        assert left.keys() == right.keys()
        assert [name for name in left if not torch.equal(left[name], right[name])] == []


@pytest.mark.parametrize("when", ["after", "during"])
def test_goes_on_from_the_last_whole_checkpoint_after_kill(
    base: Path, tmp_path: Path, when: str
) -> None:
    settings = small_settings(loss=HEADED)
    whole = trained(base, tmp_path / "whole", settings)
    script = KILLED.replace("LOSS", f"loss={HEADED!r}")
    tests = str(Path(__file__).parent)
    ended = subprocess.run(
        [sys.executable, "-c", script, str(base), str(tmp_path / "killed"), when],
        env={**os.environ, "PYTHONPATH": tests},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    left = [path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()]
    assert "step-10" in left
    assert "step-20" not in left
    assert len(left) == (1 if when == "after" else 2)  # the torn one
    steps: list[int] = []
    again = trained(base, tmp_path / "killed", settings, progress=lambda *of: steps.append(of[0]))
    assert steps == list(range(11, 21))
    assert [path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()] == ["step-20"]
    assert_same(whole, again)
    assert any("head" in name for name in tensors_of(tmp_path / "killed" / "checkpoints"))


@pytest.mark.parametrize(
    "changed",
    [
        {"checkpoint": 7, "loss": {"mini_batch": None}},
        {"checkpoint": None, "ratio": 0.5, "curriculum": "cyclic", "epochs": 3},
        {"modulation": "slr", "modulation_rank": 4},
        {"lora_rank": 2, "dropout": False, "bf16": True},
        {"loss": {"head": "mlp", "matryoshka": (8, 16), "distil": 1.0, "margin_mse": 0.1}},
    ],
    ids=["uncached", "curriculum", "modulation", "lora", "distilled"],
)
def test_every_part_goes_on_exactly(base: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    settings, mined = small_settings(**changed), mined_pairs(teacher=True)
    whole = trained(base, tmp_path / "whole", settings, mined=mined)
    with pytest.raises(KeyboardInterrupt):
        trained(base, tmp_path / "cut", settings, mined=mined, progress=stop_after(12))
    steps: list[int] = []
    told = {"mined": mined, "progress": lambda *of: steps.append(of[0])}
    again = trained(base, tmp_path / "cut", settings, **told)
    assert 1 < steps[0] < 12  # not from the beginning
    assert_same(whole, again)


def test_interrupted_before_a_checkpoint_begins_again(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = trained(base, tmp_path / "whole", small_settings())
    with pytest.raises(KeyboardInterrupt):
        trained(base, tmp_path / "cut", small_settings(), progress=stop_after(3))
    assert "after 3 of 20 steps; the same call goes on from the beginning" in caplog.text
    assert_same(whole, trained(base, tmp_path / "cut", small_settings()))


def test_two_trainings_do_not_share_a_folder(base: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    other = locked(tmp_path / "out")
    with pytest.raises(RunBusy, match="another process works in this folder"):
        trained(base, tmp_path / "out", small_settings(steps=2))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["lock"]
    os.close(other)
    trained(base, tmp_path / "out", small_settings(steps=2))
    os.close(locked(tmp_path / "out"))  # free again


def test_a_finished_training_is_not_done_again(base: Path, tmp_path: Path) -> None:
    first = trained(base, tmp_path / "out", small_settings(steps=2))
    again = trained(base, tmp_path / "out", small_settings(steps=2), progress=stop_after(1))
    assert again == first
    assert first.steps == 2


def test_a_kill_after_the_last_step_costs_no_step(base: Path, tmp_path: Path) -> None:
    whole = trained(base, tmp_path / "out", small_settings())
    kept = tensors_of(whole.model)
    shutil.rmtree(whole.model)
    (tmp_path / "out" / "trained.json").unlink()
    again = trained(base, tmp_path / "out", small_settings(), progress=stop_after(20))
    assert again.losses == whole.losses
    found = tensors_of(again.model)
    assert all(torch.equal(kept[name], found[name]) for name in kept)


def test_another_configuration_is_refused(base: Path, tmp_path: Path) -> None:
    folder, settings = tmp_path / "out", small_settings(steps=2)
    first = trained(base, folder, settings)
    with pytest.raises(ResumeRefused, match=r"begun with learning_rate 0\.001, not 0\.002"):
        trained(base, folder, small_settings(steps=2, learning_rate=2e-3))
    with pytest.raises(ResumeRefused, match=r"loss\.temperature 0\.05, not 0\.1"):
        trained(base, folder, small_settings(steps=2, loss={"temperature": 0.1}))
    with pytest.raises(ResumeRefused, match="begun with pairs"):
        trained(base, folder, settings, mined=mined_pairs(39))
    with pytest.raises(ResumeRefused, match="begun with base"):
        trained(tiny_retriever(tmp_path / "other", seed=1), folder, settings)
    with pytest.raises(ResumeRefused, match="begun with pairs"):
        train(base, mined_pairs(), documents=str, settings=settings, folder=folder)
    trained(base, folder, small_settings(steps=2, checkpoint=1))  # changes nothing of the result
    fresh = trained(base, folder, small_settings(steps=3), fresh=True)
    assert fresh.steps == 3
    assert fresh.losses[:1] == first.losses[:1]


def test_a_damaged_manifest_or_checkpoint_is_named(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        trained(base, folder, small_settings(), progress=stop_after(12))
    manifest = folder / "training.json"
    kept = manifest.read_text()
    manifest.write_text("{")
    with pytest.raises(RunError, match=r"training\.json cannot be read"):
        trained(base, folder, small_settings())
    manifest.write_text(json.dumps(json.loads(kept) | {"more": 1}))
    with pytest.raises(ResumeRefused, match="more 1, not None"):
        trained(base, folder, small_settings())
