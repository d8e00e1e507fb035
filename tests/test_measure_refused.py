"""What `evaluate` refuses in one line, and odd values that it takes."""

from __future__ import annotations

import gc
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmaug.errors import PlanError, RetrievalError, TextError
from llmaug.retrieval.measure import evaluate
from llmaug.retrieval.qrels import write_qrels
from llmaug.retrieval.rankings import write_rankings

QRELS: Any = {"1": {"a": 1}, "2": {"b": 2, "a": 0}}
RANKINGS: Any = {"1": {"a": 2.0, "b": 1.0}, "2": {"a": 2.0, "b": 1.0}}


@pytest.mark.parametrize(
    ("rankings", "qrels", "message"),
    [
        (
            {"q1": {"a": 1.0}, "q2": {}},
            QRELS,
            'none of the 2 queries of the rankings is judged: ids such as "q1" there, "1" among',
        ),
        (
            {str(query): {"doc-a": 1.0, "doc-b": 0.5} for query in range(10)},
            {str(query): {"a": 1} for query in range(10)},
            "none of the 20 documents ranked is judged",
        ),
        ({}, QRELS, "the rankings hold no query"),
        (RANKINGS, {}, "the judgements hold no query"),
        (RANKINGS, {"1": {}}, "the judgements hold no query"),
        ({"1": {"a": math.nan}}, QRELS, "(NaN)"),
        ({"1": {"a": 1.0, "b": math.nan, "c": 0.5}}, QRELS, "'b' is not a number (NaN)"),
        ({"1": {"a": "1.0"}}, QRELS, "not a number"),
        ({"1": {"a": None}}, QRELS, "not a number"),
        ({"1": {"a": 1.0, "b\0": 0.5}}, QRELS, "NUL"),
        ({"1": {"a": 1.0, "\ud800": 0.5}}, QRELS, "surrogate"),
        ({"1": {"a": 1.0, 7: 0.5}}, QRELS, "the document id 7 of query '1' is not a string"),
        (RANKINGS, {"1": {"a": 1.5}}, "is 1.5, not a whole number"),
        (RANKINGS, {"1": {"a": "1"}}, "is '1', not a whole number"),
        (RANKINGS, {"1": {"a": 2**31}}, "not a whole number up to 1,000,000"),
        (RANKINGS, {"1": {"a": -(2**70)}}, "not a whole number up to 1,000,000"),
        (RANKINGS, {"1": {"\ud800": 1}}, "surrogate"),
    ],
)
def test_what_cannot_be_measured_is_one_line(rankings: Any, qrels: Any, message: str) -> None:
    with pytest.raises(RetrievalError) as error:
        evaluate(rankings, qrels)
    assert message in str(error.value)
    assert str(error.value).isprintable()


def test_a_few_queries_may_all_be_answered_badly() -> None:
    assert evaluate({"1": {"unjudged": 1.0}}, QRELS).mean["nDCG@10"] == 0


@pytest.mark.parametrize("measures", [(), "", "nDCG@10 nope"])
def test_measures_that_are_none_are_refused(measures: Any) -> None:
    with pytest.raises(PlanError):
        evaluate(RANKINGS, QRELS, measures)


def test_an_unknown_averaging_is_refused() -> None:
    with pytest.raises(PlanError, match="did you mean beir"):
        evaluate(RANKINGS, QRELS, averaging="bier")


@pytest.mark.parametrize("number", [int, float, np.float32, np.float64, np.int64, np.float16])
@pytest.mark.parametrize("grade", [int, float, np.int8, np.int64, np.float32])
def test_numbers_of_every_kind_are_taken(number: Any, grade: Any) -> None:
    rankings = {q: {d: number(s) for d, s in of.items()} for q, of in RANKINGS.items()}
    qrels = {q: {d: grade(g) for d, g in of.items()} for q, of in QRELS.items()}
    names = ("nDCG@10", "RR", "Judged@1")
    assert evaluate(rankings, qrels, names) == evaluate(RANKINGS, QRELS, names)
    assert evaluate(rankings, {"1": {"a": True}}, ["RR"]).mean == {"RR": 1.0}


@pytest.mark.parametrize("query", ["no query", "no_query", "a\0b", "\ud800", "0", ""])
def test_a_query_may_have_any_id(query: str) -> None:
    evaluation = evaluate({"1": {"a": 1.0}, query: {"x": 2.0, "a": 1.0}}, {query: {"a": 1}}, "RR")
    assert evaluation.per_query == {"RR": {query: 0.5}}


@pytest.mark.parametrize(
    ("rankings", "qrels"),
    [
        ({"1": {}}, {"1": {"a": 1}}),
        ({"1": {}}, {"1": {"a": 0}}),
        ({"1": {"a": 1.0}}, {"1": {"a": 0}}),
        ({"1": {"a": 1.0}}, {"1": {"a": -1, "b": -9}}),
        ({"1": {"a": math.inf, "b": -math.inf}}, {"1": {"a": 0}}),
    ],
)
@pytest.mark.parametrize("averaging", ["judged", "beir"])
def test_a_query_without_anything_relevant_is_worth_nothing(
    rankings: Any, qrels: Any, averaging: str
) -> None:
    names = ("nDCG", "MAP", "Bpref", "infAP", "SetP", "SetF", "Rprec", "R@5", "IPrec@0")
    evaluation = evaluate(rankings, qrels, names, averaging=averaging)
    assert evaluation.mean == dict.fromkeys(names, 0.0)


def test_files_are_as_good_as_dictionaries(tmp_path: Path) -> None:
    run, qrels = tmp_path / "run.trec.gz", tmp_path / "test.tsv"
    write_rankings(run, RANKINGS)
    write_qrels(qrels, QRELS)
    assert evaluate(run, str(qrels)) == evaluate(RANKINGS, QRELS)
    with pytest.raises(TextError, match="it looks like rankings"):
        evaluate(RANKINGS, swapped(tmp_path / "run.trec"))


def swapped(path: Path) -> Path:
    """Rankings where judgements are wanted."""
    write_rankings(path, RANKINGS)
    return path


def test_what_is_given_stays_as_it_was() -> None:
    rankings: Any = {"a": {"b": 1.0, "a": 2.0, "c": np.float32(3)}}
    qrels: Any = {"a": {"b": np.int64(1)}}
    evaluate(rankings, qrels, averaging="beir")
    assert list(rankings["a"]) == ["b", "a", "c"]
    assert (type(rankings["a"]["c"]), type(qrels["a"]["b"])) == (np.float32, np.int64)


def test_evaluating_again_leaves_nothing_behind() -> None:
    first = evaluate(RANKINGS, QRELS, "nDCG AP")
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        assert evaluate(RANKINGS, QRELS, "nDCG AP") == first
    gc.collect()
    assert len(gc.get_objects()) < before + 50


def test_the_judgements_of_a_beir_folder_are_those_of_its_test_split(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    with pytest.raises(TextError, match=r"has no qrels/test\.tsv"):
        evaluate(RANKINGS, tmp_path)
    write_qrels(tmp_path / "qrels" / "train.tsv", {"3": {"a": 1}})
    with pytest.raises(TextError, match="no split 'test'"):
        evaluate(RANKINGS, tmp_path)
    write_qrels(tmp_path / "qrels" / "test.tsv", QRELS)
    assert evaluate(RANKINGS, f"{tmp_path}/").mean == evaluate(RANKINGS, QRELS).mean
