"""`llmaug index`: a corpus made searchable by meaning and by words."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmaug.errors import OutputError, PlanError

if TYPE_CHECKING:
    from llmaug.request import Embedder
    from llmaug.retrieval.collection import Collection
    from llmaug.retrieval.settings import Settings

Option = typer.Option


def index(
    corpus: Annotated[
        list[str],
        typer.Argument(help="BEIR folder, JSONL, CSV, Parquet, TREC files, irds:NAME, hf:NAME"),
    ],
    output: Annotated[Path, Option("--output", "-o", help="folder of the index")],
    embedder: Annotated[
        str | None,
        Option(
            help="minilm, a sentence-transformers folder or hub name, served:MODEL; none for BM25 "
            "only "
            "[default: minilm]"
        ),
    ] = None,
    lexical: Annotated[
        str | None, Option(help="BM25 settings; none for dense only [default: bm25()]")
    ] = None,
    factory: Annotated[
        str | None,
        Option(help="Flat, HNSW32, IVF1024,Flat, any FAISS index description [default: auto]"),
    ] = None,
    memory: Annotated[
        str | None, Option(help="what the index may take in memory, e.g. 8GB (for auto)")
    ] = None,
    min_recall: Annotated[
        float | None, Option(help="search as widely as this recall needs, e.g. 0.95")
    ] = None,
    queries: Annotated[
        str | None, Option(help="queries by which recall is measured, instead of the corpus's own")
    ] = None,
    dtype: Annotated[
        str | None, Option(help="of the stored vectors: float16, or float32 [default: float32]")
    ] = None,
    vectors: Annotated[
        Path | None, Option(help="a vector store elsewhere, which several indexes may share")
    ] = None,
    add: Annotated[bool, Option("--add", help="add these documents to the index in -o")] = False,
    delete: Annotated[
        bool, Option("--delete", help="take documents out: CORPUS is a file of ids, or ids")
    ] = False,
    merge: Annotated[
        bool, Option("--merge", help="CORPUS are indexes, put together as one in -o")
    ] = False,
    text: Annotated[str | None, Option(help="field that holds the text")] = None,
    id: Annotated[str | None, Option(help="field that holds the id")] = None,
    limit: Annotated[int | None, Option(min=1, help="only the first N documents")] = None,
    query_prompt: Annotated[str | None, Option(help="put before each query")] = None,
    document_prompt: Annotated[str | None, Option(help="put before each document")] = None,
    embed_backend: Annotated[
        str | None, Option(help="torch, onnx or openvino [default: torch]")
    ] = None,
    base_url: Annotated[
        str | None,
        Option("--base-url", "--embedder-url", help="address of the server for served:MODEL"),
    ] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, …; a GPU where there is one")] = None,
    batch: Annotated[int | None, Option(min=1, help="documents encoded at once")] = None,
    threads: Annotated[int | None, Option(min=1, help="of FAISS")] = None,
    seed: Annotated[int | None, Option(help="of clustering and samples [default: 1234]")] = None,
    fresh: Annotated[bool, Option("--fresh", help="throw away vectors made before")] = False,
) -> None:
    """Encode a corpus once, index it under FAISS and BM25, and say how exact the index is.

    Killed at any moment, the same command goes on where it stopped; after a change of the corpus
    only new texts are encoded.

    Example: `llmaug index scifact/ -o scifact.index --embedder minilm`
    """
    given = {
        option: value
        for option, value in locals().items()
        if value is not None and value is not False
    }
    from llmaug.cli.index_account import account, findings
    from llmaug.cli.index_changes import changed, chosen_change
    from llmaug.cli.stages import Stages
    from llmaug.retrieval.index import Index

    change = chosen_change(given)
    _check_folders(output, vectors)
    began = time.monotonic()
    if change is not None:
        with Stages() as shown:
            made = changed(change, corpus, output, given=given, progress=shown.update)
        for line in account(made, time.monotonic() - began, deleting=delete):
            print(line, file=sys.stderr)
        return
    if len(corpus) != 1:
        raise PlanError("name one corpus, or several indexes with --merge")
    settings, encoder = _settings(given), _embedder(given)
    with Stages() as shown:
        collection = _collection(corpus[0], given)
        made = Index.build(
            _with_queries(collection, queries),
            output,
            embedder=encoder,
            settings=settings,
            vectors=vectors,
            fresh=fresh,
            progress=shown.update,
        )
    for line in account(made, time.monotonic() - began):
        print(line, file=sys.stderr)
    # With a limit, most judgements are of documents that were left out on purpose.
    for line in findings(collection) if limit is None else ():
        print(line, file=sys.stderr)


def _check_folders(output: Path, vectors: Path | None) -> None:
    if str(output) == "-":
        raise OutputError("an index is a folder and cannot go to standard output; name one with -o")
    if vectors is not None and os.path.realpath(output) == os.path.realpath(vectors):
        raise OutputError(f"-o and --vectors are the same folder, {output}; name two")


def _collection(name: str, given: dict[str, Any]) -> Collection:
    from llmaug.retrieval.collection import Collection

    fields: dict[str, Any] = {field: given.get(field) for field in ("text", "id", "limit")}
    return Collection.read(name, **fields)


def _with_queries(collection: Collection, queries: str | None) -> Collection:
    """The collection with the queries of a file, if one is named, instead of its own."""
    import dataclasses

    from llmaug.retrieval.collection import named_queries

    if queries is None:
        return collection
    return dataclasses.replace(collection, queries=named_queries(queries))


def _embedder(given: dict[str, Any]) -> Embedder | None:
    from llmaug.embedders.embed import embedder

    name = given.get("embedder", "minilm")
    options = {
        "device": "device",
        "embed_backend": "backend",
        "query_prompt": "query_prompt",
        "document_prompt": "document_prompt",
        "base_url": "base_url",
        "batch": "batch_size",
    }
    chosen = {options[option]: given[option] for option in options if option in given}
    return None if name == "none" else embedder(name, **chosen)


def _settings(given: dict[str, Any]) -> Settings:
    from llmaug.retrieval.lexical import parse_bm25
    from llmaug.retrieval.settings import Settings

    plain = ("factory", "min_recall", "dtype", "seed", "threads")
    chosen: dict[str, Any] = {option: given[option] for option in plain if option in given}
    if "memory" in given:
        chosen["memory"] = _bytes(given["memory"])
    if "lexical" in given:
        lexical = given["lexical"]
        chosen["lexical"] = None if lexical == "none" else parse_bm25(lexical)
    return Settings(**chosen)


def _bytes(size: str) -> int:
    """A size such as 8GB or 500 MB, in bytes."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", size, re.IGNORECASE)
    count = int(float(found[1]) * 1000 ** " KMGT".index(found[2].upper() or " ")) if found else 0
    if count < 1:
        raise PlanError(f"--memory {size!r}: write it like 8GB")
    return count
