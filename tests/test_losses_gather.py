"""Negatives from all processes: two halves of a batch train like the whole of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_retriever import tiny_retriever

torch = pytest.importorskip("torch")

ROWS, NEGATIVES = 8, 2
EACH = {
    "cached": {"mini_batch": 3, "head": "linear", "distil": 1.0},
    "once": {"mini_batch": 4, "head": "mlp", "matryoshka": [8]},
    "plain": {"mini_batch": None, "mask_ratio": 0.6, "margin_mse": 0.1, "hardness": 5.0},
}
SCRIPT = """
import json, sys
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from loss_batches import columns_of, outcome
from llmaug.training.losses import RetrievalLoss
from llmaug.training.settings import LossSettings
from test_losses_gather import NEGATIVES, ROWS, repeated_labels

model_folder, out, rank, world, each = sys.argv[1:]
rank, world = int(rank), int(world)
meeting = f"file://{out}/meeting-{world}"
torch.distributed.init_process_group("gloo", meeting, rank=rank, world_size=world)
mine = slice(rank * ROWS // world, (rank + 1) * ROWS // world)
columns = [column[mine] for column in columns_of(ROWS, NEGATIVES)]
labels = {name: label[mine] for name, label in repeated_labels().items()}
for name, settings in json.loads(each).items():
    model = SentenceTransformer(model_folder, device="cpu").train()
    loss = RetrievalLoss(model, LossSettings(**settings, gather=True))
    loss.progress = 0.5
    found = outcome(loss, columns, labels)
    means = {"loss": found.loss, **found.gradients}
    for value in means.values():
        torch.distributed.all_reduce(value)
        value /= world
    if rank == 0:
        save_file(means, f"{out}/{name}-{world}.safetensors")
torch.distributed.destroy_process_group()
"""


def repeated_labels():
    """Labels in which a document of the first half is a negative, and an answer, of the second."""
    from loss_batches import labels_of

    labels = labels_of(ROWS, NEGATIVES)
    labels["documents"][ROWS - 1, 1] = labels["documents"][0, 0]
    labels["positives"][ROWS - 2, 1] = labels["documents"][1, 0]
    return labels


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gather")
    model = tiny_retriever(folder / "model", dropout=0.0)
    (folder / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(folder / "script.py"), str(model), str(folder)]
    running = [
        subprocess.Popen(
            [*command, str(rank), str(world), json.dumps(EACH)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for world in (1, 2)
        for rank in range(world)
    ]
    try:
        ended = [process.communicate(timeout=100)[1].decode() for process in running]
    finally:
        for process in running:
            process.kill()
    assert not any(process.returncode for process in running), "\n".join(ended)
    return folder


@pytest.mark.parametrize("name", EACH)
def test_two_halves_of_a_batch_have_the_gradients_of_the_whole(found: Path, name: str) -> None:
    from safetensors.torch import load_file

    whole, halves = (load_file(found / f"{name}-{processes}.safetensors") for processes in (1, 2))
    assert whole.keys() == halves.keys()
    for part, value in whole.items():
        torch.testing.assert_close(halves[part], value, rtol=1e-3, atol=2e-6, msg=part)
