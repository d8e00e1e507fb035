"""Embedders: unit vectors in order, one name for one set of weights, no pickles."""

from __future__ import annotations

import json

import numpy as np
import pytest

from llmaug import models
from llmaug.errors import ModelError
from llmaug.retrieval.embed import embedder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "was", "good", "bad", "and"]


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    """A sentence-transformers folder with a random two-layer BERT of 16 dimensions."""
    pytest.importorskip("sentence_transformers", reason="needs the extra retrieval")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(shape).save_pretrained(folder)
    parts = [
        ("", "sentence_transformers.models.Transformer"),
        ("1_Pooling", "sentence_transformers.models.Pooling"),
    ]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (path, kind) in enumerate(parts)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True})
    )
    return folder


@pytest.fixture(params=["fake", "folder"])
def any_embedder(request):
    if request.param == "fake":
        return embedder("fake")
    folder = request.getfixturevalue("tiny_folder")
    return embedder(str(folder), device="cpu", batch_size=2)


TEXTS = ["the film was good", "", "the film was bad and bad and bad", "good", "  ", "half \ud800"]


def test_vectors_are_float32_of_unit_length(any_embedder):
    vectors = any_embedder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_rows_are_in_the_order_of_the_texts(any_embedder):
    together = any_embedder.encode(TEXTS)
    alone = np.concatenate([any_embedder.encode([text]) for text in TEXTS])
    assert np.allclose(together, alone, atol=1e-5)


def test_no_texts_give_no_rows_of_the_right_width(any_embedder):
    assert any_embedder.encode([]).shape == (0, any_embedder.encode(["good"]).shape[1])


def test_the_fingerprint_is_twelve_hex_digits(any_embedder):
    assert len(any_embedder.fingerprint) == 12
    assert int(any_embedder.fingerprint, 16) >= 0


def test_the_fake_embedder_finds_shared_words_alike():
    same, other, query = embedder("fake").encode(
        ["The film was good!", "rain over hills", "good film"]
    )
    assert query @ same > 0.6 > 0.1 > query @ other


def test_the_fake_embedder_never_changes():
    vector = embedder("fake").encode(["film"])[0]
    assert vector.shape == (256,)
    assert int(vector.argmax()) == 91


def test_loading_prints_nothing(tiny_folder, capfd):
    vectors = embedder(str(tiny_folder), device="cpu").encode(["good"])
    assert vectors.shape == (1, 16)
    assert capfd.readouterr() == ("", "")


def test_the_fingerprint_of_a_folder_is_that_of_its_weights(tiny_folder):
    assert embedder(str(tiny_folder)).fingerprint == models.fingerprint(tiny_folder)


def test_a_folder_with_only_pickled_weights_is_refused(tmp_path):
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    with pytest.raises(ModelError, match="is a pickle"):
        embedder(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minilmm", "did you mean minilm"),
        ("smollm2-135m", "language model, not an embedder"),
        ("BAAI/bge-small-en-v1.5", "hf download BAAI/bge-small-en-v1.5"),
        (".", "has no modules.json"),
    ],
)
def test_a_wrong_embedder_is_one_line(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=message) as caught:
        embedder(name)
    assert "\n" not in str(caught.value)


@pytest.mark.models
def test_minilm_puts_paraphrases_near_each_other():
    models.pull("minilm")
    vectors = embedder("minilm", device="cpu").encode(
        ["How do I reset my password?", "I forgot my password", "The soup was cold."]
    )
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert vectors.shape == (3, 384)
    assert near > 0.5 > 0.2 > far
