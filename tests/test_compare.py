"""Rankings against a baseline: pairing, counting, corrections and what is told about them."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest

from llmaug.errors import LlmaugError
from llmaug.retrieval.compare import compare, compare_evaluations
from llmaug.retrieval.measure import evaluate
from llmaug.significance import holm, paired_randomisation

Rankings = dict[str, dict[str, float]]
QUERIES = [f"q{number:02d}" for number in range(40)]
QRELS = {query: {f"{query}-good": 1} for query in QUERIES}


def ranking(*places: int, queries: list[str] = QUERIES) -> Rankings:
    """For each query, the relevant document at that place (cycled), among others."""
    made = {}
    for number, query in enumerate(queries):
        place = places[number % len(places)]
        documents = [f"{query}-{other}" for other in range(1, 6)]
        documents.insert(place - 1, f"{query}-good")
        made[query] = {document: -float(rank) for rank, document in enumerate(documents)}
    return made


def test_counts_means_and_difference_are_those_of_the_queries() -> None:
    comparison = compare(
        {"old": ranking(2), "new": ranking(1, 2, 3, 1)},
        QRELS,
        baseline="old",
        measures=("MRR@10",),
    )
    (row,) = comparison.rows
    assert (row.ranking, row.measure, row.queries) == ("new", "MRR@10", 40)
    assert (row.better, row.worse, row.equal) == (20, 10, 10)
    assert row.mean == pytest.approx((1 + 1 / 2 + 1 / 3 + 1) / 4)
    assert row.baseline_mean == pytest.approx(0.5)
    assert row.difference == pytest.approx(row.mean - 0.5)
    assert row.low < row.difference < row.high
    assert row.p == paired_randomisation([0.5, 0.0, 1 / 3 - 1 / 2, 0.5] * 10)
    assert row.effect > 0


def test_identical_rankings_differ_in_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        comparison = compare({"a": ranking(1, 3), "b": ranking(1, 3)}, QRELS, baseline="a")
    (row,) = comparison.rows
    assert (row.p, row.p_holm, row.low, row.high) == (1, 1, 0, 0)
    assert (row.better, row.worse, row.equal, row.effect) == (0, 0, 40, 0)
    assert not any("could not be shown" in note for note in comparison.notes)


def test_holm_counts_every_ranking_and_measure() -> None:
    rankings = {"base": ranking(2), "near": ranking(2, 2, 1), "far": ranking(1), "low": ranking(3)}
    comparison = compare(rankings, QRELS, baseline="base", measures=("nDCG@10", "MRR@10"))
    assert comparison.family == 6
    assert {row.ranking for row in comparison.rows} == {"near", "far", "low"}
    assert [r.p_holm for r in comparison.rows] == holm([r.p for r in comparison.rows])
    assert any(row.p < row.p_holm for row in comparison.rows)


def test_changing_sides_changes_the_sign_only() -> None:
    rankings = {"a": ranking(1, 2, 5), "b": ranking(2, 2, 1)}
    (one,) = compare(rankings, QRELS, baseline="a").rows
    (other,) = compare(rankings, QRELS, baseline="b").rows
    assert one.p == other.p
    assert one.difference == pytest.approx(-other.difference)
    assert (one.better, one.worse) == (other.worse, other.better)


def test_the_order_of_queries_changes_nothing() -> None:
    backwards = dict(reversed(ranking(1, 2, 4).items()))
    one = compare({"a": ranking(2), "b": ranking(1, 2, 4)}, QRELS, baseline="a")
    other = compare({"a": ranking(2), "b": backwards}, dict(reversed(QRELS.items())), baseline="a")
    assert one == other


def test_a_missing_query_counts_zero_or_is_left_out() -> None:
    rankings = {"all": ranking(1), "some": ranking(1, queries=QUERIES[:30])}
    (row,) = compare(rankings, QRELS, baseline="all").rows
    assert (row.queries, row.worse, row.equal) == (40, 10, 30)
    assert row.mean == pytest.approx(0.75)
    comparison = compare(rankings, QRELS, baseline="all", averaging="beir")
    (row,) = comparison.rows
    assert (row.queries, row.worse, row.mean, row.p) == (30, 0, 1, 1)
    assert "30 queries that both rankings answer" in str(comparison)


def test_rankings_of_other_queries_cannot_be_paired() -> None:
    rankings = {
        "first": ranking(1, queries=QUERIES[:20]),
        "last": ranking(1, queries=QUERIES[20:]),
    }
    with pytest.raises(LlmaugError, match="no query is answered by both 'last' and"):
        compare(rankings, QRELS, baseline="first", averaging="beir")


def test_evaluations_on_other_judgements_cannot_be_compared() -> None:
    fewer = {query: QRELS[query] for query in QUERIES[:30]}
    evaluations = {"a": evaluate(ranking(1), QRELS), "b": evaluate(ranking(2), fewer)}
    with pytest.raises(LlmaugError, match="different judgements"):
        compare_evaluations(evaluations, baseline="a")


@pytest.mark.parametrize(
    ("baseline", "names", "message"),
    [
        ("bm52", ("bm25", "dense"), "no ranking is called 'bm52'.*did you mean bm25?"),
        ("bm25", ("bm25",), "only the baseline 'bm25' is given; add a ranking"),
        ("bm25", (), "no ranking is called 'bm25'.*none are known"),
    ],
)
def test_a_wrong_baseline_is_one_line(baseline: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(LlmaugError, match=message) as caught:
        compare({name: ranking(1) for name in names}, QRELS, baseline=baseline)
    assert "\n" not in str(caught.value)


def test_few_queries_are_said_to_show_nothing() -> None:
    few = {query: QRELS[query] for query in QUERIES[:5]}
    rankings = {"a": ranking(2, queries=QUERIES[:5]), "b": ranking(1, queries=QUERIES[:5])}
    comparison = compare(rankings, few, baseline="a")
    assert "fewer than 10 queries can show nothing" in str(comparison)
    assert comparison.rows[0].p == 2 / 2**5


def test_one_query_gives_a_table_too() -> None:
    one = {"q00": QRELS["q00"]}
    shown = str(compare({"a": ranking(2), "b": ranking(1)}, one, baseline="a"))
    assert "paired over 1 judged query" in shown


def test_the_table_is_aligned_and_says_what_it_shows() -> None:
    generator = np.random.default_rng(1)
    rankings = {
        "base": ranking(2),
        "a": ranking(1, 2, 2),
        "a-longer-name": ranking(*generator.integers(1, 6, 40).tolist()),
    }
    comparison = compare(rankings, QRELS, baseline="base", level=0.9, seed=3)
    first, heading, *rows = str(comparison).splitlines()[:4]
    assert first == "against base:"
    assert "90 % interval" in heading
    assert {len(row) for row in rows} == {len(heading)}
    assert "seed 3" in str(comparison)
    low, high = sorted(f"{row.detectable:.3f}" for row in comparison.rows)
    assert (
        f"with 40 queries and this spread, differences below {low} to {high} (nDCG@10) "
        "could not be shown (80 % power, corrected for 2 tests)"
    ) in str(comparison)


def test_results_are_the_same_again_and_frozen() -> None:
    rankings = {"a": ranking(2), "b": ranking(1, 2, 4)}
    comparison = compare(rankings, QRELS, baseline="a", seed=5)
    assert comparison == compare(rankings, QRELS, baseline="a", seed=5)
    assert comparison != compare(rankings, QRELS, baseline="a", seed=6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        comparison.seed = 6  # type: ignore[misc]


def test_rankings_and_qrels_may_be_files(tmp_path: Path) -> None:
    rankings = {"a": ranking(2), "b": ranking(1, 2, 4)}
    for name, content in rankings.items():
        lines = [
            f"{query} Q0 {document} {rank} {score} {name}\n"
            for query, scores in content.items()
            for rank, (document, score) in enumerate(scores.items(), 1)
        ]
        (tmp_path / f"{name}.trec").write_text("".join(lines))
    (tmp_path / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\n"
        + "".join(f"{query}\t{d}\t1\n" for query, grades in QRELS.items() for d in grades)
    )
    files = {"a": tmp_path / "a.trec", "b": str(tmp_path / "b.trec")}
    expected = compare(rankings, QRELS, baseline="a")
    assert compare(files, tmp_path / "qrels.tsv", baseline="a") == expected


def test_rankings_without_names_are_one_line() -> None:
    with pytest.raises(LlmaugError, match=r"must be named, not a list: give a dict such as"):
        compare([ranking(1), ranking(2)], QRELS, baseline="old")  # type: ignore[arg-type]
