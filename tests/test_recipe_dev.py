"""Dev queries: nothing of them is trained on, and none of them is a query of the test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from recipe_corpus import FAKE, HUMAN, done, recipe_folder

from llmaug.errors import RetrievalError
from llmaug.training.pairs import Pair, read_pairs, write_pairs

pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


@pytest.fixture
def own(tmp_path: Path, folder: Path) -> Path:
    """A corpus that a test may change."""
    for name in ("corpus", "base"):
        shutil.copytree(folder / name, tmp_path / name)
    return tmp_path


def asked(folder: Path, number: int) -> str:
    lines = (folder / "corpus" / "queries.jsonl").read_text().splitlines()
    return str(json.loads(lines[number])["text"])


def reword(folder: Path, number: int, text: str) -> None:
    path = folder / "corpus" / "queries.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[number]["text"] = text
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def left(folder: Path) -> tuple[list[Pair], dict[str, str], set[str]]:
    """The training pairs, the dev queries, and the documents that answer those."""
    dev = json.loads((folder / "filter" / "dev.json").read_text())
    pairs = read_pairs(folder / "filter" / "pairs.jsonl")
    return pairs, dev["queries"], {id for judged in dev["qrels"].values() for id in judged}


def test_nothing_of_a_dev_split_is_trained_on(own: Path) -> None:
    with (own / "corpus" / "qrels" / "train.tsv").open("a") as file:
        file.write("q0\td60\t1\n")
    reword(own, 1, asked(own, 61).upper())
    written = [
        Pair("s1", asked(own, 62), "d5"),
        Pair("s2", "of a dev document", "d62"),
        Pair("s3", "of its own", "d5"),
    ]
    write_pairs(own / "pairs.jsonl", written)
    text = HUMAN + "generate: {pairs: pairs.jsonl}\n"
    result = done(own, text, output=own / "out", until="filter")
    pairs, queries, answers = left(result.folder)
    assert len(queries) == 24
    assert not answers & {pair.document_id for pair in pairs}
    assert [pair.query_id for pair in pairs if pair.origin == "synthetic"] == ["s3"]
    counts = result.counts["filter"]
    assert counts["human_dropped"] == {
        "document of a dev query": 1,
        "like a dev query: same words": 1,
    }
    assert counts["dropped"] == {"document of a dev query": 1, "like a dev query: same words": 1}
    assert counts["human"] == 51


@pytest.mark.parametrize("of", ["human", "synthetic"])
def test_nothing_of_dev_queries_taken_out_is_trained_on(own: Path, of: str) -> None:
    text = f"human: true\ndev: {{count: 20, of: {of}}}\n"
    first = done(own, text + FAKE, output=own / "first", until="filter")
    _, queries, _ = left(first.folder)
    written = [
        Pair(f"s{n}", f"{query} !", f"d{n + 80}") for n, query in enumerate(queries.values())
    ]
    generated = read_pairs(first.folder / "generate" / "pairs.jsonl")
    write_pairs(own / "pairs.jsonl", [*generated, *(written if of == "human" else [])])
    text += "generate: {pairs: pairs.jsonl}\n"
    result = done(own, text, output=own / "out", until="filter")
    pairs, queries, answers = left(result.folder)
    assert not answers & {pair.document_id for pair in pairs}
    words = {query.casefold() for query in queries.values()}
    assert not words & {pair.query.casefold().removesuffix(" !") for pair in pairs}
    lost = result.counts["filter"]["dropped" if of == "human" else "human_dropped"]
    assert lost["document of a dev query"] > 0


def test_dev_queries_that_are_those_of_the_test_are_left_out(own: Path) -> None:
    reword(own, 60, asked(own, 80).upper())
    result = done(own, HUMAN, output=own / "out", until="filter")
    _, queries, answers = left(result.folder)
    assert (len(queries), "q60" in queries, "d60" in answers) == (23, False, False)
    assert result.counts["filter"]["dev_leaking"] == 1


def test_nothing_left_beside_dev_is_said(own: Path) -> None:
    rows = "".join(f"q{n}\td{n + 52}\t1\n" for n in range(24))
    (own / "corpus" / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    with pytest.raises(RetrievalError, match=r"no training pair is left beside the dev queries"):
        done(own, HUMAN, output=own / "out", until="filter")


@pytest.mark.parametrize(
    ("dev", "message"),
    [
        ("{count: 20, pool: 5}", "pool of 5 documents cannot hold the 20 that are judged"),
        ("{count: 60}", "ask for another number or name a split"),
    ],
)
def test_dev_sets_that_cannot_be_are_found_before_training(
    folder: Path, tmp_path: Path, dev: str, message: str
) -> None:
    with pytest.raises(RetrievalError, match=message):
        done(folder, f"human: true\ndev: {dev}\n", output=tmp_path / "out", until="filter")


def test_a_dev_set_searches_a_part_of_a_large_corpus_unless_told(folder: Path) -> None:
    from recipe_corpus import written

    from llmaug.training.recipe_file import read_recipe

    for text, pool in (("human: true\n", 20_000), ("human: true\ndev: {pool: null}\n", None)):
        dev = read_recipe(written(folder, text)).dev
        assert dev is not None
        assert dev.pool == pool


def test_few_dev_queries_measure_nothing(folder: Path, tmp_path: Path) -> None:
    text = "human: true\ndev: {count: 5}\n"
    lines: list[str] = []
    result = done(folder, text, output=tmp_path / "out", said=lines.append)
    assert not any("at weight" in line for line in lines)
    assert not (result.folder / "gate" / "dev_values.json").exists()
    decision: dict[str, Any] = json.loads((result.folder / "gate" / "decision.json").read_text())
    assert decision["candidates"] == []
    assert "5 dev queries cannot decide" in decision["reason"]


def test_queries_that_differ_by_white_space_are_not_enough_to_compare(own: Path) -> None:
    rows = "".join(f"q{n}\td{n}\t1\n" for n in range(20))
    (own / "corpus" / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    reword(own, 1, asked(own, 0).replace(" ", "  "))
    result = done(own, HUMAN + FAKE, output=own / "out", until="filter")
    assert result.counts["filter"]["human"] == 20
    assert "divergence" not in result.counts["filter"]
