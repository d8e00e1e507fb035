"""The small corpus that comes with the package keeps its promises."""

from __future__ import annotations

import csv
import importlib.resources
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(str(importlib.resources.files("llmaug.demo")))
REVIEWS = DEMO / "reviews.jsonl"
CORPUS = DEMO / "help" / "corpus.jsonl"
QUERIES = DEMO / "help" / "queries.jsonl"
QRELS = DEMO / "help" / "qrels" / "test.tsv"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def judgements() -> list[tuple[str, str, int]]:
    with QRELS.open(encoding="utf-8", newline="") as lines:
        table = csv.DictReader(lines, delimiter="\t")
        return [(row["query-id"], row["corpus-id"], int(row["score"])) for row in table]


@pytest.mark.parametrize(
    ("path", "count", "fields"),
    [
        (REVIEWS, 60, {"id", "text", "label"}),
        (CORPUS, 60, {"_id", "title", "text"}),
        (QUERIES, 30, {"_id", "text"}),
    ],
    ids=["reviews", "corpus", "queries"],
)
def test_every_row_is_whole_and_there_are_no_twins(
    path: Path, count: int, fields: set[str]
) -> None:
    table = rows(path)
    assert len(table) == count
    assert all(set(row) == fields for row in table)
    assert all(
        isinstance(value, str) and value == value.strip() != ""
        for row in table
        for value in row.values()
    )
    id_field = "_id" if "_id" in fields else "id"
    assert len({row[id_field] for row in table}) == count
    assert len({row["text"].casefold() for row in table}) == count


def test_half_of_the_reviews_are_positive() -> None:
    assert Counter(row["label"] for row in rows(REVIEWS)) == {"positive": 30, "negative": 30}


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [(REVIEWS, 15, 45), (CORPUS, 40, 90), (QUERIES, 2, 30)],
    ids=["reviews", "corpus", "queries"],
)
def test_texts_have_the_promised_number_of_words(path: Path, least: int, most: int) -> None:
    outside = [row for row in rows(path) if not least <= len(row["text"].split()) <= most]
    assert outside == []


def test_reviews_are_one_to_three_sentences() -> None:
    ends = {row["id"]: len(re.findall(r"[.!?](?=\s|$)", row["text"])) for row in rows(REVIEWS)}
    assert {id: count for id, count in ends.items() if not 1 <= count <= 3} == {}


def test_reviews_share_no_phrase_of_four_words() -> None:
    seen: Counter[tuple[str, ...]] = Counter()
    for row in rows(REVIEWS):
        words = re.findall(r"[\w']+", row["text"].casefold())
        seen.update({tuple(words[at : at + 4]) for at in range(len(words) - 3)})
    assert [phrase for phrase, count in seen.items() if count > 1] == []


def test_titles_of_the_passages_differ() -> None:
    assert len({row["title"] for row in rows(CORPUS)}) == 60


def test_judgements_name_passages_and_questions_that_exist() -> None:
    assert QRELS.read_text(encoding="utf-8").startswith("query-id\tcorpus-id\tscore\n")
    judged = judgements()
    assert {query for query, _, _ in judged} == {row["_id"] for row in rows(QUERIES)}
    assert {passage for _, passage, _ in judged} <= {row["_id"] for row in rows(CORPUS)}
    assert {grade for _, _, grade in judged} == {1, 2}
    assert len({(query, passage) for query, passage, _ in judged}) == len(judged)


def test_every_question_has_an_answer_and_at_most_four_judged_passages() -> None:
    judged = judgements()
    assert {query for query, _, grade in judged if grade == 2} == {
        row["_id"] for row in rows(QUERIES)
    }
    assert max(Counter(query for query, _, _ in judged).values()) <= 4
