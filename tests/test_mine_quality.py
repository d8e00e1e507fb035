"""How good negatives are before training, which settings make sense, and pairs from a run."""

from __future__ import annotations

import json

import pytest

import llmaug as la
from llmaug.errors import PlanError, TextError
from llmaug.text import record
from llmaug.training.from_run import pairs_from_variants
from llmaug.training.mined import MinedPair, Negative, Scores
from llmaug.training.pairs import Pair
from llmaug.training.quality import negative_quality
from llmaug.training.settings import MiningSettings


def one(positive, *negatives):
    found = [Negative(f"n{i}", source, 1, Scores(s)) for i, (source, s) in enumerate(negatives)]
    return MinedPair(Pair("q", "query", "d"), Scores(positive), tuple(found))


def test_quality_counts_sources_and_margins():
    quality = negative_quality(
        iter(
            [
                one(0.8, ("dense", 0.6), ("bm25", 0.2)),
                one(0.5, ("dense", 0.7), ("random", 0.1)),
            ]
        )
    )
    assert (quality.pairs, quality.negatives) == (2, 4)
    assert quality.sources == {"dense": 0.5, "bm25": 0.25, "random": 0.25}
    assert quality.random == 0.25
    assert quality.margin == pytest.approx((0.2 + 0.6 - 0.2 + 0.4) / 4)
    assert quality.above == 0.25
    assert quality.hardness == pytest.approx((0.13, 0.4, 0.67))
    assert str(quality) == (
        "4 negatives of 2 pairs: 50% dense, 25% bm25, 25% random; "
        "cosine 0.400 (0.130 to 0.670), 0.250 below the positive's, 25.0% above it"
    )


def test_quality_without_cosines_or_pairs_says_so():
    assert negative_quality([one(None, ("bm25", None))]).margin is None
    assert str(negative_quality([])) == "0 negatives of 0 pairs: none"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pick": "harder"}, "did you mean hardest"),
        ({"sources": ("dens",)}, "did you mean dense"),
        ({"sources": ()}, "each once"),
        ({"sources": ("dense", "dense")}, "each once"),
        ({"negatives": 0}, "at least 1"),
        ({"first": 0}, "first is 1 or more"),
        ({"first": 5, "last": 4}, "last no less"),
        ({"margin": -0.1}, "margin must be between"),
        ({"relative_margin": float("nan")}, "relative_margin must be between"),
        ({"teacher_ratio": 60}, "teacher_ratio must be between"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(PlanError, match=said):
        MiningSettings(**wrong)


def test_variants_of_a_run_are_pairs_with_the_document_they_were_made_from(tmp_path):
    path = tmp_path / "queries.jsonl"
    documents = [la.Text("the kettle boils", "d1", "d1"), la.Text("a quiet vacuum", "d2", "d2")]
    result = list(la.augment("keep() + edit('case')", documents))
    la.write(path, (record(text) for text in result), fields=("id", "root", "text", "made_by"))
    pairs = pairs_from_variants(path)
    made = [text for text in result if text.made_by]
    assert [(p.query_id, p.query, p.document_id, p.made_by) for p in pairs] == [
        (text.id, text.text, text.root, text.made_by) for text in made
    ]
    assert {pair.origin for pair in pairs} == {"synthetic"}


def row(**changed):
    return {"id": "d1/q.0", "root": "d1", "text": "boils?", "made_by": "q()@1"} | changed


def written(path, *rows):
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
    return path


def test_a_score_is_taken_from_the_field_named(tmp_path):
    path = written(
        tmp_path / "q.jsonl", row(made_by="", id="d1"), "", row(relevance=0.7, title="kettles")
    )
    assert pairs_from_variants(path, score="relevance") == [
        Pair("d1/q.0", "boils?", "d1", "synthetic", "q()@1", 0.7)
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("{", "not JSON"),
        ("[]", "a row is an object, not a list"),
        ({"id": "d1", "text": "boils?"}, "no field 'root'"),
        (row(root=3), "the field 'root' holds a number"),
        (row(id="d2/q.0", text="", relevance=1), "'query' is ''"),
        (row(), "the id 'd1/q.0' is also that of line 1"),
        (row(id="d2/q.0"), "no field 'relevance'"),
        (row(id="d2/q.0", relevance="high"), "'score' is 'high'"),
    ],
)
def test_a_row_that_is_not_of_a_run_is_named(tmp_path, wrong, said):
    path = written(tmp_path / "q.jsonl", row(relevance=1), wrong)
    with pytest.raises(TextError, match=r"q\.jsonl:2: ") as refused:
        pairs_from_variants(path, score="relevance")
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TextError, match=r"gone\.jsonl cannot be read"):
        pairs_from_variants(tmp_path / "gone.jsonl")
