"""The gradient cache: the same gradients as without it, whatever the loss is made of."""

# ruff: noqa: E402  (what needs torch is imported once it is known to be there)
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from loss_batches import assert_close, columns_of, labels_of, outcome, same
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tiny_retriever import tiny_retriever

from llmaug.training.losses import RetrievalLoss
from llmaug.training.settings import LossSettings

ROWS, NEGATIVES = 7, 3
COLUMNS, LABELS = columns_of(ROWS, NEGATIVES), labels_of(ROWS, NEGATIVES)
COMBINATIONS = {
    "infonce": {},
    "own documents": {"in_batch": False},
    "distillation": {"infonce": 0.0, "distil": 1.0},
    "distillation with a side term": {"infonce": 0.1, "distil": 1.0, "margin_mse": 0.5},
    "masks": {"mask_ratio": 0.6, "mask_similar": 0.01},
    "hardness": {"hardness": 5.0, "hardness_schedule": "constant"},
    "mixing": {"mixed": 3, "mixed_query": 2, "mix_among": 4},
    "mixing of own documents": {"mixed": 2, "mixed_query": 2, "in_batch": False},
    "linear": {"head": "linear"},
    "mlp of own documents": {"head": "mlp", "in_batch": False},
    "reweighting": {"head": "reweight", "head_decay": 1.1},
    "matryoshka": {"matryoshka": (8, 16)},
    "matryoshka with a head": {"matryoshka": (8,), "head": "mlp", "distil": 1.0},
    "all": {
        "infonce": 0.5,
        "distil": 1.0,
        "margin_mse": 0.1,
        "mask_ratio": 0.6,
        "mask_similar": 0.02,
        "hardness": 5.0,
        "mixed": 2,
        "mixed_query": 2,
        "head": "linear",
        "matryoshka": (16,),
    },
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_retriever(tmp_path_factory.mktemp("retriever") / "model", dropout=0.0)
    return SentenceTransformer(str(folder), device="cpu").train()


@pytest.fixture(scope="module")
def static(model):
    torch.manual_seed(0)
    words = StaticEmbedding(model.tokenizer.backend_tokenizer, embedding_dim=16)
    return SentenceTransformer(modules=[words], device="cpu").train()


def loss_of(model, mini_batch, settings):
    loss = RetrievalLoss(model, LossSettings(**settings, mini_batch=mini_batch))
    loss.progress, loss.draws = 0.5, 3
    return loss


@pytest.mark.parametrize("settings", COMBINATIONS.values(), ids=COMBINATIONS)
@pytest.mark.parametrize("mini_batch", [1, 3])
def test_the_cache_changes_no_gradient(model, settings, mini_batch):
    plain = outcome(loss_of(model, None, settings), COLUMNS, LABELS, share=0.25)
    cached = outcome(loss_of(model, mini_batch, settings), COLUMNS, LABELS, share=0.25)
    assert_close(cached, plain)
    assert any(gradient.any() for gradient in plain.gradients.values())


@pytest.mark.parametrize("settings", COMBINATIONS.values(), ids=COMBINATIONS)
def test_static_embeddings_have_only_their_scores_cut(static, settings):
    small = {**settings, "matryoshka": tuple(w // 2 for w in settings.get("matryoshka", ()))}
    loss = loss_of(static, 3, small)
    assert not loss.uses_gradient_cache
    assert_close(
        outcome(loss, COLUMNS, LABELS, share=0.25),
        outcome(loss_of(static, None, small), COLUMNS, LABELS, share=0.25),
    )


def test_static_embeddings_without_a_cache_are_those_of_sentence_transformers(static):
    ours = loss_of(static, None, {})
    theirs = MultipleNegativesRankingLoss(static)
    assert same(outcome(ours, COLUMNS, LABELS), outcome(theirs, COLUMNS))


@pytest.mark.parametrize(("rows", "passes"), [(4, 2), (5, 20)])
def test_a_batch_that_fits_goes_through_the_model_once(model, rows, passes):
    """Once for the queries and once for all documents, else twice for two pieces of 5 columns."""
    seen = []
    hook = model.register_forward_hook(lambda *_: seen.append(1))
    try:
        outcome(loss_of(model, 4, {}), columns_of(rows, NEGATIVES), labels_of(rows, NEGATIVES))
    finally:
        hook.remove()
    assert len(seen) == passes


@pytest.mark.parametrize("mini_batch", [None, 3])
def test_the_loss_without_gradients_is_the_same(model, mini_batch):
    loss = loss_of(model, mini_batch, COMBINATIONS["all"])
    wanted = outcome(loss, COLUMNS, LABELS).loss
    with torch.no_grad():
        found = loss([dict(model.preprocess(column)) for column in COLUMNS], LABELS)
    torch.testing.assert_close(found, wanted)


def test_gradients_of_two_batches_add_up(model):
    loss = loss_of(model, 3, {"head": "linear"})
    one = outcome(loss, COLUMNS, LABELS)
    features = [dict(model.preprocess(column)) for column in COLUMNS]
    loss.zero_grad()
    first, second = loss(features, LABELS), loss(features, LABELS)
    (first + second).backward()
    for name, weight in loss.named_parameters():
        if name in one.gradients:
            torch.testing.assert_close(
                weight.grad, 2 * one.gradients[name], rtol=1e-3, atol=5e-6, msg=name
            )


def test_the_head_is_in_the_state_of_the_loss(model):
    loss = loss_of(model, 3, {"head": "mlp"})
    outcome(loss, COLUMNS, LABELS)
    with torch.no_grad():
        for weight in loss.head.parameters():
            weight -= 0.1 * weight.grad
    again = loss_of(model, 3, {"head": "mlp"})
    again.load_state_dict(loss.state_dict())
    assert same(outcome(again, COLUMNS, LABELS), outcome(loss, COLUMNS, LABELS))
    assert {"head.0.weight", "head.2.bias"} <= loss.state_dict().keys()
