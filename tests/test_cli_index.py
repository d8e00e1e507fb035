"""`llmaug index` and `llmaug show index`: what goes together, what is said, what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import llmaug as la
from llmaug.cli import index, show
from llmaug.cli.index_changes import read_ids
from llmaug.errors import LlmaugError, TextError

pytest.importorskip("faiss", reason="needs the extra retrieval")

app = typer.Typer()
app.command("index")(index.index)
app.command("show")(show.show)
DOCUMENTS = {"d1": "water in the kettle", "d2": "dogs and hair", "d3": "light for a tent"}
FAKE = ("--embedder", "fake")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A BEIR folder `beir` and a file `more.jsonl`, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write("beir/corpus.jsonl", DOCUMENTS)
    write("more.jsonl", {"d4": "a quiet vacuum cleaner"})
    write("beir/queries.jsonl", {"q1": "hot water"})


def write(path: str, texts: dict[str, str]) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    rows = ({"_id": id, "text": text} for id, text in texts.items())
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(command: str, *more: str):
    done = CliRunner().invoke(app, [*command.split(), *more])
    if done.exception and not isinstance(done.exception, LlmaugError | SystemExit):
        raise done.exception
    return done


def built(*options: str) -> str:
    done = run("index beir -o i --lexical bm25()", *(options or FAKE))
    assert done.exit_code == 0, done.exception
    return done.output


def refused(command: str, *more: str) -> str:
    error = run(command, *more).exception
    assert isinstance(error, LlmaugError), error
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize("change", ["add", "delete", "merge"])
@pytest.mark.parametrize(
    "option",
    [
        *("--factory Flat", "--dtype float16", "--lexical bm25()", "--min-recall 0.9"),
        *("--memory 8GB", "--vectors v", "--fresh", "--query-prompt x", "--document-prompt x"),
        *("--threads 1", "--seed 0", "--queries q.tsv"),
    ],
)
def test_a_change_keeps_the_settings_of_the_index(change, option):
    said = refused(f"index more.jsonl -o i --{change} {option}")
    assert said.startswith(f"{option.split()[0]} does not go with --{change}")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("index a b -o i --delete --limit 3", "--limit does not go with --delete"),
        ("index a b -o i --merge --text body", "--text does not go with --merge"),
        ("index beir -o i --add --embedder none", "--embedder none does not go with --add"),
        ("index beir -o i --add --merge", "give one of"),
        ("index i -o j --merge", "i is one"),
        ("index beir more.jsonl -o i", "name one corpus"),
        ("index beir -o i --embedder none --factory Flat", "--factory is about vectors"),
        ("index beir -o i --embedder none --device cpu", "--device is about vectors"),
        ("index beir -o i --memory 8GB --factory Flat", "--memory is for --factory auto"),
        ("index beir -o i --memory 0GB", "write it like 8GB"),
        ("index beir -o -", "cannot go to standard output"),
        ("index beir -o i --vectors ./i", "the same folder"),
        ("show index", "which index"),
        ("show index none", "no index at none"),
    ],
)
def test_what_is_refused(command, says):
    assert says in refused(command)
    assert not Path("i").exists()


@pytest.mark.parametrize("option", ["--memory", "--embedder"])
def test_an_empty_value_is_refused(option):
    assert option in refused("index beir -o i", option, "")


def test_a_memory_goes_with_the_automatic_choice():
    built(*FAKE, "--memory", "1GB", "--factory", "auto")
    assert la.Index.open("i").about["settings"]["memory"] == 10**9


def test_ids_are_one_a_line():
    Path("ids.txt").write_bytes(b"\xef\xbb\xbfd 1\r\n\nd2\n")
    assert read_ids(["ids.txt"]) == ["d 1", "d2"]
    assert read_ids(["d1", "d2"]) == ["d1", "d2"]
    assert read_ids(["a/b"], known=["a/b"]) == ["a/b"]


@pytest.mark.parametrize(
    ("content", "says"), [(b"d1\n\xff\n", "not UTF-8 at byte 3"), (b"\n \n", "holds no ids")]
)
def test_a_file_of_ids_that_cannot_be_used(content, says):
    Path("ids.txt").write_bytes(content)
    with pytest.raises(TextError, match=says):
        read_ids(["ids.txt"])


@pytest.mark.parametrize(("word", "says"), [("no.txt", "no file"), ("a/b", "no file"), (".", "is")])
def test_a_word_that_looks_like_a_path_is_one(word, says):
    with pytest.raises(TextError, match=says):
        read_ids([word])


def test_deleting():
    built()
    assert "every document of i" in refused("index d1 d2 d3 -o i --delete")
    assert "has no document 'd9'" in refused("index d9 -o i --delete")
    done = run("index d1 -o i --delete --embedder fake")
    assert done.exit_code == 0
    assert "no longer" not in done.output
    assert la.Index.open("i").documents.ids == ["d2", "d3"]


def test_adding_and_merging_with_an_embedder_that_moved(tmp_path):
    from tiny_embedder import write_tiny_embedder

    for name in ("old", "new"):
        Path(name).mkdir()
    write_tiny_embedder(Path("old"))
    built("--embedder", "old")
    os.rmdir("new")
    os.rename("old", "new")
    assert "--embedder" in refused("index more.jsonl -o i --add")
    more = ("--embedder", "new", "--batch", "3", "--device", "cpu")
    done = run("index more.jsonl -o i --add --limit 1", *more)
    assert "4 documents" in done.output, done.exception
    assert run("index more.jsonl -o k --embedder new").exit_code == 0
    assert run("index d4 -o i --delete", *more).exit_code == 0
    done = run("index i k -o j --merge", *more)
    assert "4 documents" in done.output, done.exception


def test_a_batch_goes_with_vectors():
    built("--embedder", "none")
    assert "--batch" in refused("index more.jsonl -o i --add --batch 3")


def test_documents_that_are_gone_are_counted():
    built()
    write("beir/corpus.jsonl", {"d2": DOCUMENTS["d2"]})
    assert "2 documents of the index before are no longer in it" in built()


def test_what_does_not_fit_together_is_a_note():
    assert "note:" not in built()
    Path("beir/qrels").mkdir()
    Path("beir/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td\x1b9\t1\nq1\td1\t1\n")
    said = built()
    assert "note: judgements of documents that the corpus lacks: 1 ('d\\x1b9')" in said
    assert "\x1b" not in said
    assert "note:" not in built(*FAKE, "--limit", "1")


def test_recall_is_measured_by_ones_own_queries():
    write("own.jsonl", {"a": "tent", "b": "dogs"})
    said = built(*FAKE, "--queries", "own.jsonl", "--factory", "HNSW8")
    assert "(2 queries)" in said
    assert la.Index.open("i").queries == ["tent", "dogs"]


def test_an_index_is_described_without_its_model():
    from tiny_embedder import write_tiny_embedder

    Path("model").mkdir()
    write_tiny_embedder(Path("model"))
    built("--embedder", "model")
    os.rename("model", "elsewhere")
    done = run("show index i")
    assert done.exit_code == 0, done.exception
    for part in ("3 documents", "fingerprint", "settings: factory=auto", "recall@"):
        assert part in done.output
    for part in ("words: bm25(", "edition: edition-", "documents.jsonl: ", "vector store: "):
        assert part in done.output
