"""What a teacher's scores ask of the student: by hand, and against sentence-transformers."""

# ruff: noqa: E402  (what needs torch is imported once it is known to be there)
from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
from torch.nn.functional import normalize

from llmaug.training.distillation import listwise, margin_mse, own_cosines

TEMPERATURES = {"student_temperature": 0.05, "teacher_temperature": 0.3}
COSINES = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
TEACHER = torch.rand(4, 5, generator=torch.Generator().manual_seed(1))
TEACHER[:, 0] += 0.3  # an answer that no teacher puts below all other documents
LOSSES = pytest.mark.parametrize("loss", [listwise, margin_mse])


def test_listwise_is_sentence_transformers_without_its_factor():
    vectors = normalize(torch.randn(6, 4, 8, generator=torch.Generator().manual_seed(2)), dim=-1)
    theirs = DistillKLDivLoss(torch.nn.Identity(), **TEMPERATURES)
    wanted = theirs.compute_loss_from_embeddings(list(vectors), TEACHER) / 0.05**2
    cosines = own_cosines(vectors[0], vectors[1:].transpose(0, 1))
    torch.testing.assert_close(listwise(cosines, TEACHER, **TEMPERATURES), wanted)


def test_margin_mse_by_hand():
    cosines = torch.tensor([[0.9, 0.5, 0.8], [0.5, 0.7, 0.1]])
    teacher = torch.tensor([[1.0, 0.4, math.nan], [0.9, 0.3, 0.6]])
    first = (0.4 / 0.05 - 0.6 / 0.3) ** 2
    second = ((-0.2 / 0.05 - 0.6 / 0.3) ** 2 + (0.4 / 0.05 - 0.3 / 0.3) ** 2) / 2
    found = margin_mse(cosines, teacher, **TEMPERATURES)
    assert float(found) == pytest.approx((first + second) / 2, rel=1e-5)


@LOSSES
def test_a_student_that_ranks_as_the_teacher_has_nothing_to_learn(loss):
    cosines = (TEACHER * 0.05 / 0.3 - 0.1).requires_grad_()
    found = loss(cosines, TEACHER, **TEMPERATURES)
    found.backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(cosines.grad, torch.zeros_like(cosines), atol=1e-4, rtol=0)


@LOSSES
def test_a_document_without_a_score_is_as_if_it_were_not_there(loss):
    teacher = TEACHER.clone()
    teacher[:, 3] = math.nan
    cosines = COSINES.clone().requires_grad_()
    found = loss(cosines, teacher, **TEMPERATURES)
    found.backward()
    rest = [0, 1, 2, 4]
    torch.testing.assert_close(found, loss(COSINES[:, rest], TEACHER[:, rest], **TEMPERATURES))
    assert cosines.grad.isfinite().all()
    assert not cosines.grad[:, 3].any()


@LOSSES
@pytest.mark.parametrize("known", [[], [0], [2]])
def test_a_row_with_too_few_scores_adds_nothing(loss, known):
    teacher = TEACHER.clone()
    teacher[1, [place for place in range(5) if place not in known]] = math.nan
    cosines = COSINES.clone().requires_grad_()
    found = loss(cosines, teacher, **TEMPERATURES)
    found.backward()
    others = [0, 2, 3]
    wanted = loss(COSINES[others], TEACHER[others], **TEMPERATURES) * 3 / 4
    torch.testing.assert_close(found, wanted)
    assert not cosines.grad[1].any()
    assert cosines.grad.isfinite().all()


@LOSSES
def test_a_cosine_that_is_none_shows(loss):
    cosines = COSINES.clone()
    cosines[0, 1] = math.nan
    assert loss(cosines, TEACHER, **TEMPERATURES).isnan()


@LOSSES
def test_a_teacher_that_puts_an_answer_below_all_else_is_not_heard(loss):
    teacher = TEACHER.clone()
    teacher[1, 0] = 0.0
    teacher[1, 2] = math.nan
    cosines = COSINES.clone().requires_grad_()
    found = loss(cosines, teacher, **TEMPERATURES)
    found.backward()
    rest = [0, 2, 3]
    alone = loss(COSINES[rest], TEACHER[rest], **TEMPERATURES)
    torch.testing.assert_close(found, alone * 3 / 4)
    assert not cosines.grad[1].any()
