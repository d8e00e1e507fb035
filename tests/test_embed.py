"""Embedders: unit vectors in order, each side with its prompt, wrong names in one line."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_embedder import write_tiny_embedder

from llmaug import models
from llmaug.embedders.embed import BACKENDS, embedder
from llmaug.errors import MissingExtra, ModelError


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    pytest.importorskip("sentence_transformers", reason="needs the extra retrieval")
    return write_tiny_embedder(tmp_path_factory.mktemp("tiny"))


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


def test_a_side_is_a_prompt_before_the_text(any_embedder):
    prompted = embedder(any_embedder.name, query_prompt="the film ", document_prompt="bad ")
    plain = any_embedder.encode(["the film was good", "bad was good", "was good"])
    for row, side in enumerate(["query", "document", ""]):
        assert np.allclose(prompted.encode(["was good"], side=side)[0], plain[row], atol=1e-5)


def test_hostile_and_very_long_texts_are_embedded(any_embedder):
    vectors = any_embedder.encode(
        ["\x00\x07\u202e", "good film " * 100_000, "\U0010ffff", "x" * 10**6]
    )
    assert np.isfinite(vectors).all()
    same = any_embedder.encode(["good film " * 1000])
    assert np.allclose(vectors[1], same[0], atol=1e-5)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", "no CUDA GPU on this machine; leave the device out or give cpu"),
        ("cuda:3", "no CUDA GPU on this machine"),
        ("mps", "no Apple GPU on this machine"),
        ("nonsense", "no device 'nonsense'"),
        ("meta", "no device 'meta'"),
    ],
)
def test_a_device_that_is_not_there_is_refused_at_once(device, message, tiny_folder, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelError, match=message):
        embedder(str(tiny_folder), device=device)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_backend_that_is_not_installed_names_its_extra(backend, tiny_folder, monkeypatch):
    monkeypatch.setitem(BACKENDS, backend, {f"no_such_{backend}": "some-package"})
    with pytest.raises(MissingExtra, match=rf"pip install 'llmaug\[{backend}\]'"):
        embedder(str(tiny_folder), backend=backend)


def test_an_unknown_backend_is_named_with_the_known_ones(tiny_folder):
    with pytest.raises(ModelError, match=r"torch, onnx or openvino \(did you mean onnx"):
        embedder(str(tiny_folder), backend="onxx")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "nonsense"}, "leave device and backend out"),
        ({"device": "cuda"}, "leave device and backend out"),
        ({"backend": "onnx"}, "leave device and backend out"),
        ({"backend": "onxx"}, "did you mean onnx"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "a base URL goes with a served embedder"),
        ({"batch_size": 0}, "at least 1, not 0"),
    ],
)
def test_the_fake_embedder_refuses_what_it_does_not_heed(options, message):
    with pytest.raises(ModelError, match=message):
        embedder("fake", **options)


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
        ("", "needs a name"),
        ("  ", "needs a name"),
    ],
)
def test_a_wrong_embedder_is_one_line(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
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
