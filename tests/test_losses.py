"""The training loss: equal to sentence-transformers' where it says so, and by hand elsewhere."""

# ruff: noqa: E402  (what needs torch is imported once it is known to be there)
from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from loss_batches import columns_of, labels_of, outcome, same
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from tiny_retriever import tiny_retriever

from llmaug.errors import PlanError
from llmaug.training.losses import RetrievalLoss
from llmaug.training.settings import LossSettings

ROWS, NEGATIVES = 7, 2
COLUMNS, LABELS = columns_of(ROWS, NEGATIVES), labels_of(ROWS, NEGATIVES)
PARTS_AT_ZERO = {
    "nothing masked": {"mask_known": False},
    "nothing to mask": {},
    "distil": {"distil": 0.0},
    "margin_mse": {"margin_mse": 0.0},
    "mixing": {"mixed": 0, "mixed_query": 0},
    "mixing before its time": {"mixed": 4, "mixed_query": 4, "mix_from": 0.5},
    "hardness": {"hardness": 0.0, "hardness_schedule": "constant"},
    "hardness at the start": {"hardness": 5.0, "hardness_schedule": "linear"},
    "head": {"head": "identity"},
    "reweighting by 1": {"head": "reweight", "head_decay": 1.0},
    "matryoshka": {"matryoshka": ()},
    "full width": {"matryoshka": (32,)},
    "mask_ratio": {"mask_ratio": None},
    "mask_similar": {"mask_similar": None},
    "mask_similar of none": {"mask_similar": 3.0},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_retriever(tmp_path_factory.mktemp("retriever") / "model", dropout=0.1)
    return SentenceTransformer(str(folder), device="cpu").train()


def scored(settings, vectors, labels=None, **state):
    """The loss of columns of vectors, (columns, rows, d)."""
    loss = RetrievalLoss(_Of(len(vectors[0][0])), settings)
    for name, value in state.items():
        setattr(loss, name, value)
    return loss.calculate_loss([[torch.tensor(column)] for column in vectors], labels)


class _Of(torch.nn.Sequential):
    """A model of a number of dimensions that embeds nothing."""

    def __init__(self, dimension):
        super().__init__(torch.nn.Identity())
        self.dimension = dimension

    def get_embedding_dimension(self):
        return self.dimension


@pytest.mark.parametrize("settings", PARTS_AT_ZERO.values(), ids=PARTS_AT_ZERO)
@pytest.mark.parametrize("mini_batch", [None, 3, 16])
def test_a_part_at_its_zero_changes_no_bit(model, settings, mini_batch):
    ours = RetrievalLoss(model, LossSettings(**settings, mini_batch=mini_batch))
    if mini_batch == 3:
        theirs = CachedMultipleNegativesRankingLoss(model, mini_batch_size=3)
    else:
        theirs = MultipleNegativesRankingLoss(model)
    assert same(outcome(ours, COLUMNS, LABELS), outcome(theirs, COLUMNS))


@pytest.mark.parametrize("mini_batch", [None, 3])
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_the_first_step_with_a_head_is_the_one_without(model, head, mini_batch):
    with_head = RetrievalLoss(model, LossSettings(head=head, mini_batch=mini_batch))
    without = RetrievalLoss(model, LossSettings(mini_batch=mini_batch))
    one, other = outcome(with_head, COLUMNS, LABELS), outcome(without, COLUMNS, LABELS)
    torch.testing.assert_close(one.loss, other.loss, rtol=0, atol=1e-6)
    assert any(one.gradients[name].any() for name in one.gradients if name.startswith("head"))
    assert {"head" in name for name in one.gradients} == {True, False}


@pytest.mark.parametrize("mini_batch", [None, 3])
def test_hardness_is_that_of_sentence_transformers(model, mini_batch):
    ours = LossSettings(hardness=5, hardness_schedule="constant", mini_batch=mini_batch)
    kind = (
        MultipleNegativesRankingLoss if mini_batch is None else CachedMultipleNegativesRankingLoss
    )
    cache = {} if mini_batch is None else {"mini_batch_size": 3}
    theirs = kind(model, hardness_mode="all_negatives", hardness_strength=5.0, **cache)
    assert same(
        outcome(RetrievalLoss(model, ours), COLUMNS, LABELS), outcome(theirs, COLUMNS, LABELS)
    )


@pytest.mark.parametrize(
    ("schedule", "moves"),
    [
        ("constant", [(0, 6), (0.5, 6), (1, 6)]),
        ("linear", [(0, 0), (0.25, 1.5), (1, 6)]),
        ("epoch", [(0, 2), (0.33, 2), (1 / 3, 4), (2 / 3, 6), (1, 6)]),
    ],
)
def test_hardness_moves_by_its_schedule(schedule, moves):
    loss = RetrievalLoss(_Of(2), LossSettings(hardness=6, hardness_schedule=schedule))
    loss.epochs = 3
    for progress, hardness in moves:
        loss.progress = progress
        assert loss.hardness == pytest.approx(hardness)


# Two queries along the axes, and documents at angles that make the cosines plain numbers.
QUERIES = [[1.0, 0.0], [0.0, 1.0]]
POSITIVES = [[1.0, 0.0], [0.0, 1.0]]
HARD = [[0.6, 0.8], [0.8, 0.6]]


def by_hand(cosines, temperature=0.05):
    """The mean loss of rows of cosines, the positive first."""
    rows = [[math.exp(cosine / temperature) for cosine in row] for row in cosines]
    return sum(-math.log(row[0] / sum(row)) for row in rows) / len(rows)


def labels(documents, positives=None, teacher=None):
    documents = torch.tensor(documents)
    return {
        "documents": documents,
        "positives": documents[:, :1] if positives is None else torch.tensor(positives),
        "teacher": None if teacher is None else torch.tensor(teacher),
    }


@pytest.mark.parametrize(
    ("settings", "given", "cosines"),
    [
        ({}, labels([[0, 1], [2, 3]]), [[1, 0, 0.6, 0.8], [1, 0, 0.8, 0.6]]),
        ({"in_batch": False}, labels([[0, 1], [2, 3]]), [[1, 0.6], [1, 0.6]]),
        # Document 3 is known to answer the first query, too.
        ({}, labels([[0, 1], [2, 3]], [[0, 3], [2, -1]]), [[1, 0, 0.6], [1, 0, 0.8, 0.6]]),
        # The first query's negative is the second's positive, which stands as a column already.
        ({}, labels([[0, 2], [2, 3]]), [[1, 0, 0.8], [1, 0, 0.6]]),
        ({"mask_known": False}, labels([[0, 2], [2, 3]]), [[1, 0, 0.6, 0.8], [1, 0, 0.8, 0.6]]),
        # The teacher trusts document 1 as an answer to the first query.
        (
            {"mask_ratio": 0.6},
            labels([[0, 1], [2, 3]], teacher=[[1.0, 0.7], [1.0, 0.5]]),
            [[1, 0, 0.8], [1, 0, 0.8, 0.6]],
        ),
        (
            {"mask_ratio": 0.6, "in_batch": False},
            labels([[0, 1], [2, 3]], teacher=[[1.0, 0.5], [1.0, 0.7]]),
            [[1, 0.6], [1]],
        ),
        ({"mask_similar": -0.3}, labels([[0, 1], [2, 3]]), [[1, 0, 0.6], [1, 0, 0.6]]),
    ],
)
def test_infonce_and_its_masks_by_hand(settings, given, cosines):
    loss = scored(LossSettings(**settings, mini_batch=None), [QUERIES, POSITIVES, HARD], given)
    assert float(loss) == pytest.approx(by_hand(cosines), abs=1e-6)


def test_a_document_that_the_teacher_trusts_goes_with_all_its_copies():
    given = labels([[0, 1], [2, 1]], teacher=[[1.0, 0.9], [1.0, 0.1]])
    settings = LossSettings(mask_ratio=0.6, mask_known=False, mini_batch=None)
    loss = scored(settings, [QUERIES, POSITIVES, HARD], given)
    assert float(loss) == pytest.approx(by_hand([[1, 0], [1, 0, 0.8, 0.6]]), abs=1e-6)


def test_the_parts_are_weighed_and_told():
    given = labels([[0, 1], [2, 3]], teacher=[[1.0, 0.0], [1.0, 0.0]])
    settings = LossSettings(infonce=0.1, distil=2.0, margin_mse=3.0, matryoshka=(1,))
    loss = RetrievalLoss(_Of(2), settings)
    total = loss.calculate_loss(
        [[torch.tensor(column)] for column in (QUERIES, POSITIVES, HARD)], given
    )
    weighed = {"infonce": 0.1, "distil": 2.0, "margin_mse": 3.0}
    assert loss.last.keys() == weighed.keys()
    told = sum(weight * float(loss.last[name]) for name, weight in weighed.items())
    assert float(total) == pytest.approx(told)


def test_matryoshka_is_the_mean_of_the_losses_of_the_widths():
    vectors = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    given = labels([[0, 1], [2, 3], [4, 5], [6, 7]])
    settings = LossSettings(matryoshka=(2, 4))
    mean = sum(scored(LossSettings(), vectors[..., :width].tolist(), given) for width in (2, 4, 6))
    assert torch.allclose(scored(settings, vectors.tolist(), given), mean / 3)


@pytest.mark.parametrize("mini_batch", [None, 1])
def test_a_number_that_is_none_shows_in_the_loss(mini_batch):
    broken = [[math.nan, 0.0], [0.0, 1.0]]
    settings = LossSettings(mini_batch=mini_batch)
    assert scored(settings, [QUERIES, broken, HARD], labels([[0, 1], [2, 3]])).isnan()


@pytest.mark.parametrize(
    ("settings", "given", "said"),
    [
        ({}, None, "'documents', which mask_known"),
        ({"distil": 1.0}, labels([[0, 1], [2, 3]]), "'teacher', which distil"),
        (
            {"margin_mse": 1.0},
            labels([[0, 1], [2, 3]], teacher=[[math.nan] * 2] * 2),
            "no document of the batch has a teacher score",
        ),
        ({}, labels([[0], [2]]), r"is \(2, 1\), but its documents are \(2, 2\)"),
        ({"matryoshka": (3,)}, labels([[0, 1], [2, 3]]), "3 dimensions, but the model has 2"),
    ],
)
def test_what_the_loss_needs_and_lacks_is_said(settings, given, said):
    with pytest.raises(PlanError, match=said):
        scored(LossSettings(**settings), [QUERIES, POSITIVES, HARD], given)
