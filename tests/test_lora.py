"""LoRA: nothing at the start, adapters alone learn, and they merge into a plain folder."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from tiny_retriever import tiny_retriever

import llmaug as la
from llmaug.errors import MissingExtra, PlanError
from llmaug.training.settings import TrainingSettings

pytest.importorskip("sentence_transformers", reason="needs the extra train")
pytest.importorskip("peft", reason="needs the extra train")

TEXTS = ["what causes cancer", "the battery of the torch leaks", "dogs", "a b c"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_retriever(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(folder):
    from llmaug.embedders.loading import load_retriever

    return load_retriever(folder, device="cpu")


def add(model, rank=4, **given):
    from llmaug.training.lora import add_lora

    add_lora(model, **{"rank": rank, "alpha": 8, **given})


def train(model, *, steps=3):
    """Steps of plain gradient descent that move queries away from their documents."""
    import torch

    model.eval()  # no dropout
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(steps):
        features = [model.preprocess(TEXTS) | {"task": "query"}, model.preprocess(TEXTS[::-1])]
        asked, found = (model(part)["sentence_embedding"] for part in features)
        optimiser.zero_grad()
        (asked * found).sum().backward()
        optimiser.step()


def names_trained(model):
    return [name for name, number in model.named_parameters() if number.requires_grad]


def test_at_the_start_it_changes_no_bit(model):
    before = model.encode(TEXTS)
    add(model)
    assert np.array_equal(model.encode(TEXTS), before)


def test_rank_zero_changes_nothing(model):
    trained = names_trained(model)
    add(model, rank=0)
    assert names_trained(model) == trained


def test_only_adapters_beside_the_attention_are_trained(model):
    add(model)
    trained = names_trained(model)
    assert len(trained) == 2 * 3 * 2  # layers, projections, factors
    assert all("lora_" in name and ".attention.self." in name for name in trained)


def test_training_moves_the_adapters_alone(model):
    add(model)
    before = {name: number.clone() for name, number in model.named_parameters()}
    train(model)
    moved = [name for name, number in model.named_parameters() if not number.equal(before[name])]
    assert moved == names_trained(model)


@pytest.mark.parametrize("modulation", ["none", "slr"])
def test_merged_it_is_a_plain_folder_with_the_same_vectors(modulation, folder, model, tmp_path):
    from llmaug.training.lora import merged
    from llmaug.training.modules import add_modulation

    untrained = model.encode(TEXTS)
    add(model)
    add_modulation(model, TrainingSettings(modulation=modulation))
    train(model)
    asked, found = model.encode_query(TEXTS), model.encode_document(TEXTS)
    assert np.abs(found - untrained).max() > 1e-4

    merged(model).save_pretrained(str(tmp_path / "kept"), create_model_card=False)
    files = {str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*")}
    assert not [file for file in files if "adapter" in file]
    assert "model.safetensors" in files
    loaded = la.embedder(str(tmp_path / "kept"), device="cpu")
    assert np.abs(loaded.encode(TEXTS, side="query") - asked).max() < 1e-6
    assert np.abs(loaded.encode(TEXTS, side="document") - found).max() < 1e-6
    kept, base = (
        json.loads((at / "config.json").read_bytes()) for at in (tmp_path / "kept", folder)
    )
    assert kept == base


def test_merging_leaves_the_model_in_training_as_it_is(model):
    from llmaug.training.lora import adapted, merged

    add(model)
    train(model)
    before, trained = model.encode(TEXTS), names_trained(model)
    plain = merged(model)
    assert not adapted(plain)
    assert not [name for name in names_trained(plain) if "lora" in name]
    assert np.array_equal(model.encode(TEXTS), before)
    assert names_trained(model) == trained
    train(model, steps=1)
    assert not np.array_equal(model.encode(TEXTS), before)


def test_a_model_without_adapters_is_merged_already(model):
    from llmaug.training.lora import merged

    assert merged(model) is model


def test_adapters_come_from_the_seed_alone(folder):
    import torch

    from llmaug.embedders.loading import load_retriever

    state = torch.get_rng_state()
    models = [load_retriever(folder, device="cpu") for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        add(model, seed=seed)
    assert torch.equal(torch.get_rng_state(), state)
    first, second, other = (
        torch.cat([n.flatten() for n in m.parameters() if n.requires_grad]) for m in models
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_saved_state_of_adapters_is_loaded_again(folder, model):
    from llmaug.embedders.loading import load_retriever

    add(model)
    train(model)
    other = load_retriever(folder, device="cpu")
    add(other, seed=9)
    other.load_state_dict(model.state_dict())
    assert np.array_equal(other.encode(TEXTS), model.encode(TEXTS))


@pytest.mark.parametrize(
    ("given", "message"), [({"rank": -1}, "lora_rank is -1"), ({"alpha": 0}, "lora_alpha 0")]
)
def test_a_wrong_size_is_one_line(given, message, model):
    with pytest.raises(PlanError, match=message):
        add(model, **given)


def test_without_peft_the_extra_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"llmaug\[train\]"):
        add(model)


def test_a_second_adapter_is_refused(model):
    add(model)
    with pytest.raises(PlanError, match="adapters already"):
        add(model)


def test_a_model_without_attention_is_refused(model):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    static = StaticEmbedding(model.tokenizer, embedding_dim=32)
    with pytest.raises(PlanError, match="no attention in StaticEmbedding"):
        add(SentenceTransformer(modules=[static], device="cpu"))


def test_a_merged_folder_loads_where_peft_is_not_installed(model, tmp_path):
    from llmaug.training.lora import merged

    add(model)
    merged(model).save_pretrained(str(tmp_path / "kept"), create_model_card=False)
    code = (
        "import sys; sys.modules['peft'] = None; import llmaug as la; "
        f"print(la.embedder({str(tmp_path / 'kept')!r}, device='cpu').encode(['dogs']).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(1, 32)", done.stderr
