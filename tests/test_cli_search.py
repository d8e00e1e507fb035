"""`llmaug search` from the shell: what it refuses, what reaches the terminal, and the rate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from expansion_app import small_collection
from typer.testing import CliRunner

import llmaug as la
from llmaug.cli import augment, evaluate, index, search
from llmaug.cli.stages import Stages
from llmaug.errors import LlmaugError

pytest.importorskip("faiss", reason="needs the extra retrieval")

app = typer.Typer()
for name, command in (
    ("index", index.index),
    ("search", search.search),
    ("evaluate", evaluate.evaluate),
    ("augment", augment.augment),
):
    app.command(name)(command)
ESCAPE = "\x1b[31m"


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return small_collection(tmp_path_factory.mktemp("collection"))


@pytest.fixture(autouse=True)
def here(collection, tmp_path, monkeypatch):
    for name in ("index", "queries.jsonl", "expansions.jsonl"):
        os.symlink(collection / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)


def run(command: str, *more: str):
    done = CliRunner().invoke(app, [*command.split(), *more])
    if done.exception and not isinstance(done.exception, LlmaugError | SystemExit):
        raise done.exception
    return done


def refused(command: str, *more: str) -> str:
    error = run(command, *more).exception
    assert isinstance(error, LlmaugError), error
    assert "\n" not in str(error)
    return str(error)


EXPANDED = "search index queries.jsonl -o run.trec --expansions expansions.jsonl"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("search index queries.jsonl -o no/run.trec", "mkdir -p no"),
        ("search index queries.jsonl -o index/run.trec", "inside the index"),
        ("search index queries.jsonl -o queries.jsonl", "would replace queries.jsonl"),
        ("search index . -o ./queries.jsonl", "would replace queries.jsonl"),
        ("search index queries.jsonl -o .", "not a file"),
        (f"{EXPANDED} -o expansions.jsonl", "would replace expansions.jsonl"),
        ("search index queries.jsonl -o r.trec --mode dense --fusion rrf()", "--fusion is for"),
        ("search index queries.jsonl -o r.trec --mode bm25 --depth 5", "--depth is for"),
        (f"{EXPANDED} --mode dense --depth 5 --combine mix()", "--depth is for"),
        (f"{EXPANDED} --mode dense --fusion rrf() --combine rrf()", "--fusion does not reach"),
        ("search index queries.jsonl", "name a file for the rankings"),
        ("search index queries.jsonl -q water", "give a file of queries, or -q"),
        ("search index irds:none-such -o run.trec", "none-such"),
        ("search index -q water --mode dense --embedder-url http://x/v1", "served"),
        ("augment keep() queries.jsonl -o o.jsonl --embedder-url http://x/v1", "--embedder-url is"),
    ],
)
def test_what_is_refused_before_searching(command, says):
    assert says in refused(command)


@pytest.mark.parametrize("output", ["run.trec", "-"])
def test_a_tag_is_one_word(output):
    said = refused("search index queries.jsonl", "-o", output, "--tag", "a b")
    assert "the tag 'a b'" in said


def test_an_empty_query_is_refused():
    assert "empty" in refused("search index -q water", "-q", "")


@pytest.mark.parametrize(
    "command",
    [
        "search index queries.jsonl -o run.trec --fusion rrf() --depth 5",
        f"{EXPANDED} --mode bm25 --depth 5 --combine rrf()",
        "search index . -o run.trec",
    ],
)
def test_what_goes_together(command):
    assert run(command).exit_code == 0
    assert "a" in la.read_rankings("run.trec")


def test_nothing_that_steers_a_terminal_reaches_it(tmp_path):
    text = la.Text(f"hot {ESCAPE}water", f"d{ESCAPE}", f"d{ESCAPE}")
    la.Index.build([text], tmp_path / "hostile", embedder=None)
    done = run("search hostile", "-q", f"{ESCAPE}hot water")
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    assert "\\x1b[31mhot water" in done.output


@pytest.mark.parametrize("output", [(), ("-o", "-")])
def test_a_closed_standard_output_is_one_line(output):
    arguments = ["search", "index", "-q", "water", "--mode", "bm25", *output]
    code = f"import sys; sys.argv[1:] = {arguments!r}; from llmaug.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: os.close(1),
    )
    assert done.returncode == 2
    assert done.stderr == "llmaug: standard output is closed; name a file with -o run.trec\n"


def test_the_rate_counts_the_first_batch(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Stages() as shown:
        for done, rate in ((50, "5/s"), (150, "7.5/s")):
            now[0] += 10
            shown.update("queries", done, 150)
            assert shown.bar.tasks[0].fields["rate"] == rate
        now[0] += 2
        shown.update("words", 10, 10)
        assert shown.bar.tasks[1].fields["rate"] == "5/s"
        now[0] += 4
        shown.update("slow", 1, 8)
        assert shown.bar.tasks[2].fields["rate"] == "0.25/s"


def test_values_of_queries_replace_nothing_that_is_read():
    assert run("search index queries.jsonl -o run.tsv").exit_code == 0
    shutil.copy("run.tsv", "base.tsv")
    Path("qrels").mkdir()
    Path("qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\na\td1\t1\n")
    for kept in ("run.tsv", "./base.tsv", "qrels/test.tsv"):
        for qrels in (".", "qrels", "qrels/test.tsv"):
            command = f"evaluate run.tsv --qrels {qrels} --baseline base.tsv --per-query"
            assert "would replace what is read" in refused(command, kept)


def test_a_served_embedder_may_have_moved():
    from llmaug.testserver import MisbehavingServer

    texts = [la.Text("hot water", "d1", "d1"), la.Text("dogs and cats", "d2", "d2")]
    with MisbehavingServer().in_thread() as before:
        encoder = la.embedder("served:test-model", base_url=before.url)
        la.Index.build(texts, "served", embedder=encoder)
    Path("more.txt").write_text("a tent\n")
    Path("in.txt").write_text("hot water\n")
    with MisbehavingServer().in_thread() as now:
        moved = ("--embedder-url", now.url)
        done = run("search served -q water --mode dense", *moved)
        assert "d1" in done.output, done.exception
        done = run("index more.txt -o served --add", *moved)
        assert "3 documents" in done.output, done.exception
        plan = "keep() + edit('case') >> similar(min=0.1)"
        named = ("--embedder", "served:test-model", "-o", "out.jsonl", *moved)
        assert run("augment", plan, "in.txt", *named).exit_code == 0
        assert len(now.bodies) >= 3
    assert "hot water" in Path("out.jsonl").read_text()
