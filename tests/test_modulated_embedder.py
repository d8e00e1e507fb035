"""An embedder whose folder holds a lexical modulation: queries through it, documents not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_retriever import tiny_retriever

import llmaug as la
from llmaug.errors import ModelError
from llmaug.training.settings import TrainingSettings

pytest.importorskip("sentence_transformers", reason="needs the extra train")

TEXTS = ["what causes cancer", "the battery of the torch leaks", "dogs", ""]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_retriever(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def modulated(base, tmp_path_factory):
    """The base with a modulation whose numbers are not zero."""
    import torch

    from llmaug.embedders.loading import load_retriever
    from llmaug.training.modules import add_modulation

    model = load_retriever(base, device="cpu")
    add_modulation(model, TrainingSettings(modulation="slr", modulation_rank=4))
    with torch.no_grad():
        model[2].table.normal_(generator=torch.Generator().manual_seed(0))
    folder = tmp_path_factory.mktemp("modulated")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture
def copied(modulated, tmp_path):
    return Path(shutil.copytree(modulated, tmp_path / "copied"))


@pytest.mark.parametrize("side", ["document", ""])
def test_documents_are_those_of_the_base(side, base, modulated):
    expected = la.embedder(str(base), device="cpu").encode(TEXTS, side=side)
    found = la.embedder(str(modulated), device="cpu").encode(TEXTS, side=side)
    assert np.array_equal(found, expected)


def test_queries_go_through_the_modulation(base, modulated):
    from llmaug.embedders.loading import load_retriever

    found = la.embedder(str(modulated), device="cpu").encode(TEXTS, side="query")
    model = load_retriever(modulated, device="cpu")
    assert np.array_equal(found, model.encode_query(TEXTS, normalize_embeddings=True))
    moved = np.abs(found - la.embedder(str(base), device="cpu").encode(TEXTS, side="query"))
    assert (moved.max(axis=1) > 1e-3).tolist() == [True, True, True, False]
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_query_has_the_same_vector_alone_and_among_others(modulated):
    embedder = la.embedder(str(modulated), device="cpu", batch_size=2)
    together = embedder.encode(TEXTS, side="query")
    alone = np.concatenate([embedder.encode([text], side="query") for text in TEXTS])
    assert np.allclose(together, alone, atol=1e-6)


def test_a_query_prompt_is_part_of_the_query(modulated):
    asked = la.embedder(str(modulated), device="cpu", query_prompt="dogs ")
    plain = la.embedder(str(modulated), device="cpu")
    assert np.array_equal(
        asked.encode(["leaks"], side="query"), plain.encode(["dogs leaks"], side="query")
    )


def retrain(folder):
    weights = bytearray((folder / "2_LexicalModulation" / "model.safetensors").read_bytes())
    weights[-2] ^= 1
    (folder / "2_LexicalModulation" / "model.safetensors").write_bytes(weights)


def configure(folder, **fields):
    path = folder / "2_LexicalModulation" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))


@pytest.mark.parametrize("change", [retrain, lambda folder: configure(folder, special=[])])
def test_another_modulation_is_another_embedder(change, modulated, copied):
    change(copied)
    assert la.embedder(str(copied)).fingerprint != la.embedder(str(modulated)).fingerprint


def remove_weights(folder):
    (folder / "2_LexicalModulation" / "model.safetensors").unlink()


def foreign_class(folder):
    text = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(text.replace("llmaug.", "elsewhere."))


def foreign_class_beside_ours(folder):
    parts = json.loads((folder / "modules.json").read_text())
    parts.append({"idx": 4, "name": "4", "path": "4_Evil", "type": "evil.Evil"})
    (folder / "modules.json").write_text(json.dumps(parts))
    (folder / "evil.py").write_text("raise SystemExit('this ran')")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_weights, "model.safetensors is missing"),
        (lambda folder: configure(folder, kind="clr"), "did you mean"),
        (lambda folder: configure(folder, rank=5), "does not load"),
        (lambda folder: configure(folder, more=1), "does not load"),
        (foreign_class_beside_ours, "not part of Sentence"),
        (foreign_class, "not part of Sentence"),
    ],
)
def test_a_damaged_or_foreign_folder_is_refused(change, message, copied):
    change(copied)
    with pytest.raises(ModelError, match=message) as caught:
        la.embedder(str(copied), device="cpu").encode(["dogs"], side="query")
    assert "\n" not in str(caught.value)


def test_an_index_asks_with_modulated_queries(modulated):
    from llmaug.embedders.loading import load_retriever

    embedder = la.embedder(str(modulated), device="cpu")
    documents = embedder.encode(TEXTS[:3], side="document")
    scores = embedder.encode(["dogs"], side="query") @ documents.T
    model = load_retriever(modulated, device="cpu")
    expected = model.similarity(model.encode_query(["dogs"]), model.encode_document(TEXTS[:3]))
    assert np.allclose(scores, expected.numpy(), atol=1e-6)
