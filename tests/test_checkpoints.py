from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from llmaug.errors import RetrievalError

torch = pytest.importorskip("torch")
checkpoints = pytest.importorskip("llmaug.training.checkpoints")


def written(folder: Path, step: int) -> Path:
    path = checkpoints.write(
        folder,
        step=step,
        tensors={"weights": {"a": torch.arange(6.0).reshape(2, 3).T}},
        facts={"state.json": {"losses": [0.1, 1 / 3]}},
    )
    assert isinstance(path, Path)
    return path


def test_only_the_last_checkpoint_stays_and_torn_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert checkpoints.newest(folder) is None
    assert written(folder, 9) == checkpoints.newest(folder)
    (folder / ".step-10.abcd.part").mkdir()
    (folder / ".step-10.abcd.part" / "weights.safetensors").write_bytes(b"torn")
    assert checkpoints.newest(folder) == folder / "step-9"
    assert written(folder, 10) == checkpoints.newest(folder)
    assert [path.name for path in folder.iterdir()] == ["step-10"]
    assert checkpoints.read_facts(folder / "step-10") == {"losses": [0.1, 1 / 3]}
    kept = checkpoints.read_tensors(folder / "step-10", "weights")
    assert torch.equal(kept["a"], torch.arange(6.0).reshape(2, 3).T)


@pytest.mark.parametrize("content", [b"", b"{", None])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    folder = written(tmp_path, 3)
    for name in ("weights.safetensors", "state.json"):
        path = folder / name
        path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(RetrievalError, match=r"step-3/weights\.safetensors cannot be read"):
        checkpoints.read_tensors(folder, "weights")
    with pytest.raises(RetrievalError, match=r"step-3/state\.json cannot be read"):
        checkpoints.read_facts(folder)


def test_weights_of_a_model_with_shared_ones_come_back(tmp_path: Path) -> None:
    def tied(seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
        model[1].weight = model[0].weight
        model.register_buffer("seen", torch.tensor(seed))
        return model

    one, other = tied(1), tied(2)
    tensors = {"weights": checkpoints.weights_of(one)}
    path = checkpoints.write(tmp_path, step=1, tensors=tensors, facts={})
    checkpoints.restore_weights(other, checkpoints.read_tensors(path, "weights"))
    for left, right in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(left, right)
    with pytest.raises(RetrievalError, match=r"another model \(1\.bias"):
        checkpoints.restore_weights(torch.nn.Sequential(torch.nn.Linear(3, 3)), tensors["weights"])


def test_random_states_come_back(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    random.gauss(0, 1)  # leaves a second number for later
    path = checkpoints.write(
        tmp_path,
        step=1,
        tensors={"random": {"torch": checkpoints.random_bytes(cpu)}},
        facts={"state.json": checkpoints.random_facts()},
    )

    def drawn() -> tuple[float, float, float]:
        return random.gauss(0, 1), float(np.random.rand()), float(torch.rand(1))

    expected = drawn()
    state = checkpoints.read_tensors(path, "random")["torch"]
    checkpoints.restore_random(state, checkpoints.read_facts(path), cpu)
    assert drawn() == expected


def test_the_optimiser_comes_back(tmp_path: Path) -> None:
    def stepped(steps: int) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 2)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1 / 3, betas=(0.8, 0.99))
        for _ in range(steps):
            model(torch.ones(1, 2)).sum().backward()
            optimiser.step()
        return model, optimiser

    (_, one), (_, other) = stepped(3), stepped(0)
    path = checkpoints.write(
        tmp_path,
        step=3,
        tensors={"optimiser": checkpoints.optimiser_tensors(one)},
        facts={"state.json": {"groups": checkpoints.optimiser_groups(one)}},
    )
    kept = checkpoints.read_tensors(path, "optimiser")
    checkpoints.restore_optimiser(other, kept, checkpoints.read_facts(path)["groups"])
    left, right = one.state_dict(), other.state_dict()
    assert left["param_groups"] == right["param_groups"]
    for number, values in left["state"].items():
        for name, value in values.items():
            assert torch.equal(value, right["state"][number][name])
