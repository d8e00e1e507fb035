"""Names of measures: how they are read, printed and refused."""

from __future__ import annotations

import pytest

from llmaug.errors import PlanError
from llmaug.retrieval.measure import measures, parse_measure


@pytest.mark.parametrize(
    ("asked", "printed"),
    [
        ("ndcg@10", "nDCG@10"),
        ("NDCG", "nDCG"),
        ("mrr@10", "MRR@10"),
        ("recall@100", "Recall@100"),
        (" p( rel = 2 ) @ 5 ", "P(rel=2)@5"),
        ("AP(rel=1)", "AP"),
        ("bpref", "Bpref"),
        ("iprec@0.10", "IPrec@0.1"),
    ],
)
def test_a_measure_is_printed_as_asked_with_its_spelling_put_right(
    asked: str, printed: str
) -> None:
    assert [measure.name for measure in measures([asked, printed])] == [printed]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("ndgc@10", "did you mean nDCG"),
        ("ERR@10", "no measure is called 'ERR'"),
        ("nDCG(rel=2)@10", "nDCG has no option 'rel'"),
        ("P", "needs a cutoff, such as P@10"),
        ("P@0", "whole number from 1"),
        ("P@-5", "whole number from 1"),
        ("P@1.5", "whole number from 1"),
        ("P@99999999999999999999", "whole number from 1"),
        ("Rprec@10", "takes no cutoff"),
        ("IPrec@0.155", "steps of 0.01"),
        ("AP(rel=0)", "rel is a whole number from 1"),
        ("AP(judged_only=maybe)", "True or False"),
        ("AP(__import__('os'))", "no measure"),
        ("", "no measure"),
    ],
)
def test_a_wrong_measure_is_refused_in_one_line(asked: str, message: str) -> None:
    with pytest.raises(PlanError) as error:
        parse_measure(asked)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
