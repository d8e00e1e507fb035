"""`llmaug index`: a corpus made searchable by meaning and by words."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmaug.errors import LlmaugError, RetrievalError

if TYPE_CHECKING:
    from llmaug.request import Embedder
    from llmaug.retrieval.index import Index

Option = typer.Option


def index(
    corpus: Annotated[
        list[str],
        typer.Argument(help="BEIR folder, JSONL, CSV, Parquet, TREC files, irds:NAME, hf:NAME"),
    ],
    output: Annotated[Path, Option("--output", "-o", help="folder of the index")],
    embedder: Annotated[
        str, Option(help="minilm, a sentence-transformers folder, served:MODEL; none for BM25 only")
    ] = "minilm",
    lexical: Annotated[str, Option(help="BM25 settings; none for dense only")] = "bm25()",
    factory: Annotated[
        str, Option(help="auto, Flat, HNSW32, IVF1024,Flat or any FAISS index description")
    ] = "auto",
    memory: Annotated[
        str | None, Option(help="what the index may take in memory, e.g. 8GB (for auto)")
    ] = None,
    min_recall: Annotated[
        float | None, Option(help="search as widely as this recall needs, e.g. 0.95")
    ] = None,
    dtype: Annotated[str, Option(help="of the stored vectors: float32, or float16")] = "float32",
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
    embed_backend: Annotated[str, Option(help="torch, onnx or openvino")] = "torch",
    base_url: Annotated[str | None, Option(help="address of the server for served:MODEL")] = None,
    device: Annotated[str | None, Option(help="cpu, cuda, …; a GPU where there is one")] = None,
    batch: Annotated[int | None, Option(min=1, help="documents encoded at once")] = None,
    threads: Annotated[int | None, Option(min=1, help="of FAISS")] = None,
    seed: Annotated[int, Option(help="of clustering and samples")] = 1234,
    fresh: Annotated[bool, Option("--fresh", help="throw away vectors made before")] = False,
) -> None:
    """Encode a corpus once, index it under FAISS and BM25, and say how exact the index is.

    Killed at any moment, the same command goes on where it stopped; after a change of the corpus
    only new texts are encoded.

    Example: `llmaug index scifact/ -o scifact.index --embedder minilm`
    """
    from llmaug.cli.stages import Stages
    from llmaug.retrieval.index import Index

    if add + delete + merge > 1:
        raise RetrievalError("give one of --add, --delete and --merge")
    began = time.monotonic()
    options: dict[str, Any] = {
        "device": device,
        "backend": embed_backend,
        "query_prompt": query_prompt,
        "document_prompt": document_prompt,
    }
    if base_url is not None:
        options["base_url"] = base_url
    if batch is not None:
        options["batch_size"] = batch
    with Stages() as shown:
        if delete:
            made = Index.open(output).delete(_ids(corpus), progress=shown.update)
        elif add:
            made = Index.open(output, device=device)
            for name in corpus:
                made = made.add(_documents(name, text, id, limit), progress=shown.update)
        elif merge:
            made = Index.merge(corpus, output, progress=shown.update)
        else:
            if len(corpus) != 1:
                raise RetrievalError("name one corpus, or several indexes with --merge")
            made = Index.build(
                _documents(corpus[0], text, id, limit),
                output,
                embedder=_embedder(embedder, options),
                settings=_settings(
                    factory, memory, min_recall, dtype, lexical, seed=seed, threads=threads
                ),
                vectors=vectors,
                fresh=fresh,
                progress=shown.update,
            )
    for line in account(made, time.monotonic() - began):
        print(line, file=sys.stderr)


def account(made: Index, seconds: float) -> list[str]:
    """What was built, how exact it is, and how fast."""
    from llmaug.retrieval.ann_recall import Recall

    about = made.about
    empty = f" ({about['empty']:,} of them empty)" if about["empty"] else ""
    lines = [f"{about['documents']:,} documents{empty} in {seconds:,.1f} s"]
    if dense := about["dense"]:
        effort = f", {dense['effort_name']} {dense['effort']}" if dense["effort_name"] else ""
        lines.append(
            f"dense: {dense['embedder']['name']}, {dense['dimension']} dimensions, "
            f"{dense['encoded']:,} texts encoded now; {dense['factory']}{effort}"
        )
        lines.append(str(Recall(**dense["recall"])))
    if about["lexical"]:
        lines.append(f"words: {about['lexical']['settings']}")
    lines.append(f"written: {made.folder}; next: llmaug search {made.folder} QUERIES -o run.trec")
    return lines


def _documents(name: str, text: str | None, id: str | None, limit: int | None) -> Any:
    from llmaug.retrieval.collection import Collection

    return Collection.read(name, text=text, id=id, limit=limit)


def _embedder(name: str, options: dict[str, Any]) -> Embedder | None:
    from llmaug.retrieval.embed import embedder

    return None if name == "none" else embedder(name, **options)


def _settings(
    factory: str,
    memory: str | None,
    min_recall: float | None,
    dtype: str,
    lexical: str,
    *,
    seed: int,
    threads: int | None,
) -> Any:
    from llmaug.retrieval.lexical import parse_bm25
    from llmaug.retrieval.settings import Settings

    return Settings(
        factory=factory,
        memory=_bytes(memory) if memory else None,
        min_recall=min_recall,
        dtype=dtype,
        lexical=None if lexical == "none" else parse_bm25(lexical),
        seed=seed,
        threads=threads,
    )


def _bytes(size: str) -> int:
    """A size such as 8GB or 500 MB, in bytes."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", size, re.IGNORECASE)
    if not found:
        raise LlmaugError(f"--memory {size}: write it like 8GB")
    return int(float(found[1]) * 1000 ** " KMGT".index(found[2].upper() or " "))


def _ids(given: list[str]) -> list[str]:
    """Document ids: those of a file, one a line, or the words themselves."""
    if len(given) == 1 and Path(given[0]).is_file():
        return Path(given[0]).read_text(encoding="utf-8").split()
    return given
