from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_training import DOCUMENTS, mined_pairs, small_settings, tensors_of
from tiny_retriever import tiny_retriever

from llmaug.errors import ResumeRefused
from llmaug.training.train import train

torch = pytest.importorskip("torch")

EACH = {
    "gathered": {"loss": {"gather": True, "head": "linear"}, "dropout": False},
    "modulated": {"loss": {"gather": True}, "dropout": False, "modulation": "slr"},
    "uncached": {"loss": {"gather": True, "mini_batch": None}, "dropout": False},
    "apart": {"loss": {"head": "mlp", "mixed": 2}, "checkpoint": 1},
}
SCRIPT = """
import json, os, sys
from pathlib import Path
from safetensors.torch import save_file
from small_training import DOCUMENTS, mined_pairs, small_settings
from llmaug.training.checkpoints import weights_of
from llmaug.training.train import train
from llmaug.training.trainer import RetrieverTrainer

base, out, rank = sys.argv[1], Path(sys.argv[2]), os.environ["RANK"]
run, read = RetrieverTrainer.run, []
def run_and_keep(self, checkpoint):
    run(self, checkpoint)
    save_file(weights_of(self.whole), str(out / f"{name}-{rank}.safetensors"))
    read.extend(list(self.course))
RetrieverTrainer.run = run_and_keep
for name, changed in json.loads(sys.argv[3]).items():
    done = train(base, mined_pairs(), documents=DOCUMENTS.__getitem__, folder=out / name,
                 settings=small_settings(steps=3, **changed))
    (out / f"{name}-{rank}.json").write_text(json.dumps([done.losses, done.pairs, read]))
    read = []
import torch
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_retriever(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def out(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ddp")
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", "2", str(folder / "script.py")]
    ended = subprocess.run(
        [*command, str(base), str(folder), json.dumps(EACH)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]
    return folder


@pytest.mark.parametrize("name", EACH)
def test_processes_end_with_the_same_weights_and_share_no_pair(out: Path, name: str) -> None:
    from safetensors.torch import load_file

    first, second = (load_file(out / f"{name}-{rank}.safetensors") for rank in (0, 1))
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
    told = [json.loads((out / f"{name}-{rank}.json").read_text()) for rank in (0, 1)]
    assert told[0][:2] == told[1][:2]
    assert told[0][1] == 24  # pairs: three steps of four for each
    for mine, others in zip(told[0][2], told[1][2], strict=True):
        assert not set(mine) & set(others)
    assert sorted(path.name for path in (out / name).iterdir()) == [
        "checkpoints",
        "lock",
        "model",
        "trained.json",
        "training.json",
    ]


@pytest.mark.parametrize("name", ["gathered", "modulated", "uncached"])
def test_two_processes_learn_what_one_does_from_twice_the_batch(
    base: Path, out: Path, tmp_path: Path, name: str
) -> None:
    changed = {**EACH[name], "steps": 3, "batch": 8}
    one = train(
        base,
        mined_pairs(),
        documents=DOCUMENTS.__getitem__,
        settings=small_settings(**changed),
        folder=tmp_path / "one",
    )
    losses = json.loads((out / f"{name}-0.json").read_text())[0]
    assert losses == pytest.approx(list(one.losses), abs=1e-5)
    left, right = tensors_of(tmp_path / "one" / "model"), tensors_of(out / name / "model")
    assert left.keys() == right.keys()
    for key in left:
        torch.testing.assert_close(left[key], right[key], atol=1e-4, rtol=0)


def test_another_number_of_processes_is_refused(base: Path, out: Path) -> None:
    settings = small_settings(steps=3, **EACH["apart"])
    with pytest.raises(ResumeRefused, match="begun with processes 2, not 1"):
        train(
            base,
            mined_pairs(),
            documents=DOCUMENTS.__getitem__,
            settings=settings,
            folder=out / "apart",
        )
