"""The commands that expand queries as one small app, over a small index, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.testing import CliRunner

import llmaug as la
from llmaug.cli import expand, expanded_search, gate
from llmaug.cli.stages import Stages
from llmaug.errors import LlmaugError
from llmaug.retrieval.queries import read_queries
from llmaug.retrieval.rankings import write_rankings

DOCUMENTS = {
    "d1": "the kettle boils a litre of water in two minutes",
    "d2": "the left earcup of the headphones died after nine days",
    "d3": "a quiet vacuum cleaner that picks up hair of dogs",
    "d4": "water leaks from the bottom of the coffee machine",
    "d5": "the battery of the torch lasts a weekend of camping",
}
QUERIES = {"a": "hot water", "b": "light for a tent", "c": "?", "d": "word " * 2_000}
app = typer.Typer()
app.command("expand")(expand.expand)
app.add_typer(gate.app, name="gate")


@app.command("search")
def search(
    folder: Path,
    queries: str,
    output: Annotated[str | None, typer.Option("-o")] = None,
    mode: str | None = None,
    expand: expanded_search.Expand = None,
    expansions: expanded_search.ExpansionsFile = None,
    combine: expanded_search.Combine = None,
    gate: expanded_search.Gated = None,
    lm: expanded_search.Lm = None,
    judge: expanded_search.Judge = None,
    base_url: expanded_search.BaseUrl = None,
    lm_option: expanded_search.LmOption = None,
    cache: expanded_search.RepliesFile = None,
    seed: expanded_search.Seed = 0,
    window: expanded_search.Window = None,
    save_expansions: expanded_search.SaveExpansions = None,
    explain: expanded_search.Explain = None,
) -> None:
    options = dict(locals())
    for name in ("folder", "queries", "mode"):
        options.pop(name)
    expanding = expanded_search.asked_for(**options)
    assert expanding is not None
    asked, index = read_queries(queries), la.Index.open(folder)
    with Stages() as shown:
        if explain is not None:
            print(expanding.explained(index, asked, shown=shown, mode=index.mode(mode), k=3))
        else:
            found = expanding.search(index, asked, shown=shown, mode=index.mode(mode), k=3)
            write_rankings(str(output), found)
    expanding.close()


def run(*words: Any) -> Any:
    """What a command printed and its exit status; `LlmaugError`s are one line, status 2."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, LlmaugError):
        assert "\n" not in str(done.exception)
    elif done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def refused(*words: Any) -> str:
    """The one line that a command refuses to work with."""
    done = run(*words)
    assert isinstance(done.exception, LlmaugError), done.output
    return str(done.exception)


def small_collection(folder: Path, *, embedder: str | None = "fake") -> Path:
    """A folder with `index`, `queries.jsonl` and `expansions.jsonl`."""
    texts = [la.Text(text, id, id) for id, text in DOCUMENTS.items()]
    encoder = None if embedder is None else la.embedder(embedder)
    la.Index.build(texts, folder / "index", embedder=encoder)
    la.write_queries(folder / "queries.jsonl", QUERIES)
    rows = [{"_id": "a", "expansion": "kettle boils"}, {"_id": "b", "expansion": ""}]
    (folder / "expansions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
