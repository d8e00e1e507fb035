"""Lexical modulation: nothing at the start, queries alone afterwards, kept with the model."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_retriever import VOCABULARY, tiny_retriever

from llmaug.errors import LlmaugError, PlanError
from llmaug.training.settings import TrainingSettings

pytest.importorskip("sentence_transformers", reason="needs the extra train")

TEXTS = ["what causes cancer", "the battery of the torch leaks", "dogs", "", "a b c a b c"]
KINDS = [(kind, rank) for kind in ("slr", "llr") for rank in (None, 4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_retriever(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(folder):
    from llmaug.embedders.loading import load_retriever

    return load_retriever(folder, device="cpu")


def modulated(model, kind="slr", rank=4):
    from llmaug.training.modules import add_modulation

    add_modulation(model, TrainingSettings(modulation=kind, modulation_rank=rank, seed=3))
    return next(part for part in model if type(part).__name__ == "LexicalModulation")


def queries(model):
    return model.encode(TEXTS, task="query")


def step(model, *, rate=1.0):
    """One step of plain gradient descent that moves queries away from their documents."""
    import torch

    model.train()
    features = [model.preprocess(TEXTS) | {"task": "query"}, model.preprocess(TEXTS[::-1])]
    asked, found = (model(part)["sentence_embedding"] for part in features)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=rate)
    optimiser.zero_grad()
    (asked * found).sum().backward()
    optimiser.step()
    model.eval()


@pytest.mark.parametrize(("kind", "rank"), KINDS)
def test_at_the_start_it_changes_no_bit(kind, rank, model):
    before = model.encode(TEXTS)
    modulated(model, kind, rank)
    assert np.array_equal(queries(model), before)
    assert np.array_equal(model.encode(TEXTS), before)
    assert np.array_equal(model.encode_query(TEXTS), before)


@pytest.mark.parametrize(("kind", "rank"), KINDS)
def test_it_learns_from_the_first_step_and_leaves_documents_alone(kind, rank, model):
    documents = model.encode(TEXTS)
    model.requires_grad_(False)
    modulated(model, kind, rank)
    step(model)
    moved = np.abs(queries(model) - documents).max(axis=1)
    assert (moved[[0, 1, 2, 4]] > 1e-6).all()
    assert np.array_equal(model.encode(TEXTS), documents)
    assert np.array_equal(model.encode_document(TEXTS), documents)


@pytest.mark.parametrize(("kind", "rank"), KINDS)
def test_every_number_of_it_is_trained_within_two_steps(kind, rank, model):
    part = modulated(model, kind, rank)
    before = {name: number.clone() for name, number in part.named_parameters()}
    step(model, rate=0.1)
    step(model, rate=0.1)
    assert [name for name, number in part.named_parameters() if number.equal(before[name])] == []


@given(dimension=st.integers(1, 5000), kind=st.sampled_from(["slr", "llr"]), seed=st.integers(0))
@settings(deadline=None, max_examples=30)
def test_any_vector_of_any_dimension_is_left_alone_at_the_start(dimension, kind, seed):
    import torch

    from llmaug.embedders.modulation import LexicalModulation

    part = LexicalModulation(kind=kind, dimension=dimension, vocabulary=20, rank=2)
    chance = torch.Generator().manual_seed(seed % 2**63)
    vectors = torch.randn(3, dimension, generator=chance)
    tokens = torch.randint(0, 20, (3, 7), generator=chance)
    features = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "task": "query"}
    assert torch.equal(
        part(features | {"sentence_embedding": vectors})["sentence_embedding"], vectors
    )


@pytest.mark.parametrize(("kind", "rank"), KINDS)
def test_a_gradient_cache_keeps_the_mark_of_queries(kind, rank, model):
    import torch
    from sentence_transformers.sentence_transformer import losses

    part = modulated(model, kind, rank)
    model.eval()
    gradients = []
    for loss in (
        losses.MultipleNegativesRankingLoss(model),
        losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=2),
    ):
        model.zero_grad()
        features = [model.preprocess(TEXTS) | {"task": "query"}, model.preprocess(TEXTS[::-1])]
        loss(features, None).backward()
        gradients.append(part.table.grad.clone())
    assert gradients[0].any()
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("rank", [None, 4])
def test_words_count_once_wherever_they_stand_and_special_tokens_never(rank, model):
    import torch

    part = modulated(model, "slr", rank)
    with torch.no_grad():
        part.table.normal_()
    texts = ["dogs dogs leaks", "leaks dogs", "[UNK] leaks [SEP] dogs [MASK]"]
    features = model.preprocess([*texts, "a much longer query that is cut never"])
    vectors = torch.ones(4, 32)
    changed = part({**features, "sentence_embedding": vectors, "task": "query"})
    first, second, third, longest = changed["sentence_embedding"]
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert not torch.equal(first, longest)
    assert not torch.equal(first, vectors[0])
    mean = changed["sentence_embedding"].mean(dim=1)
    torch.testing.assert_close(mean, torch.ones(4))  # d * softmax


def test_words_that_training_never_saw_change_nothing(model):
    model.requires_grad_(False)
    base = model.encode(["kettle water"])
    part = modulated(model)
    part.bias.requires_grad_(False)
    step(model)
    assert np.array_equal(model.encode(["kettle water"], task="query"), base)


@pytest.mark.parametrize(("kind", "rank"), KINDS)
def test_a_saved_folder_gives_the_same_queries(kind, rank, model, tmp_path):
    from sentence_transformers import SentenceTransformer

    from llmaug.embedders.loading import load_retriever

    modulated(model, kind, rank)
    step(model)
    model.save_pretrained(str(tmp_path / "kept"), create_model_card=False)
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.suffix in {".bin", ".pt"}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = SentenceTransformer(
            str(tmp_path / "kept"), device="cpu", trust_remote_code=True, local_files_only=True
        )
    ours = load_retriever(tmp_path / "kept", device="cpu")
    for loaded in (ours, theirs):
        assert np.array_equal(queries(loaded), queries(model))
        assert np.array_equal(loaded.encode(TEXTS), model.encode(TEXTS))


def test_none_adds_nothing(model):
    from llmaug.training.modules import add_modulation

    parts = list(model)
    add_modulation(model, TrainingSettings(modulation="none"))
    assert list(model) == parts


def test_it_stands_before_the_normalising_and_covers_the_vocabulary(model):
    part = modulated(model)
    assert [type(p).__name__ for p in model][-2:] == ["LexicalModulation", "Normalize"]
    assert (part.vocabulary, part.dimension) == (len(VOCABULARY), 32)
    assert part.special == [0, 1, 2, 3, 4]


def test_its_random_numbers_come_from_the_seed_alone(folder):
    import torch

    from llmaug.embedders.loading import load_retriever

    state = torch.get_rng_state()
    parts = [modulated(load_retriever(folder, device="cpu"), "llr") for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    for first, second in zip(parts[0].parameters(), parts[1].parameters(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(("kind", "rank"), KINDS)
def test_static_embeddings_can_be_modulated(kind, rank, model):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    static = SentenceTransformer(
        modules=[StaticEmbedding(model.tokenizer, embedding_dim=49)], device="cpu"
    )
    texts = [text for text in TEXTS if text]
    before = static.encode(texts)
    modulated(static, kind, rank)
    assert np.array_equal(static.encode(texts, task="query"), before)
    static[0].requires_grad_(False)
    features = static.preprocess(texts) | {"task": "query"}
    static(features)["sentence_embedding"].pow(2).sum().backward()
    assert static[1].table.grad.any()


def test_a_second_modulation_is_refused(model):
    modulated(model)
    with pytest.raises(PlanError, match="has a lexical modulation already"):
        modulated(model)


@pytest.mark.parametrize(
    ("given", "message"), [({"kind": "slrr"}, "did you mean slr"), ({"rank": 0}, "at least 1")]
)
def test_a_wrong_choice_is_one_line(given, message):
    from llmaug.embedders.modulation import LexicalModulation

    with pytest.raises(LlmaugError, match=message):
        LexicalModulation(**{"kind": "slr", "dimension": 4, "vocabulary": 9} | given)
