"""`llmaug index --add`, `--delete` and `--merge`: an index changed, and what goes with that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.errors import PlanError, RetrievalError, TextError

if TYPE_CHECKING:
    from llmaug.request import Embedder
    from llmaug.retrieval.dense import Progress
    from llmaug.retrieval.index import Index

READING = ("text", "id", "limit")
VECTORS = (
    *("factory", "memory", "min_recall", "dtype", "vectors", "queries"),
    *("query_prompt", "document_prompt", "threads", "seed", "fresh"),
)
MODEL = ("embed_backend", "base_url", "device", "batch")
BUILDING = ("lexical", *VECTORS)
CHANGES = ("add", "delete", "merge")


def chosen_change(given: Mapping[str, Any]) -> str | None:
    """Which change of an index is asked for, None for building one.

    `given` are the options that were given. Raises `PlanError` for those that do not go together.
    """
    changes = [change for change in CHANGES if change in given]
    if len(changes) > 1:
        raise PlanError("give one of --add, --delete and --merge")
    if given.get("embedder") == "":
        raise PlanError("--embedder is empty: name one, e.g. minilm, or none for BM25 only")
    if not changes:
        if given.get("embedder") == "none" and (idle := _named(given, (*VECTORS, *MODEL))):
            raise PlanError(f"{idle} is about vectors, which --embedder none leaves out")
        if "memory" in given and given.get("factory", "auto") != "auto":
            raise PlanError("--memory is for --factory auto, and you name the factory; leave one")
        return None
    (change,) = changes
    if idle := _named(given, BUILDING):
        raise PlanError(
            f"{idle} does not go with --{change}: the index keeps the settings it was built with"
        )
    if change != "add" and (idle := _named(given, READING)):
        raise PlanError(f"{idle} does not go with --{change}, which reads no corpus")
    if given.get("embedder") == "none":
        raise PlanError(f"--embedder none does not go with --{change}: vectors stay in an index")
    return change


def changed(
    change: str,
    corpus: Sequence[str],
    output: Path,
    *,
    given: Mapping[str, Any],
    progress: Progress,
) -> Index:
    """The index in the folder `output` after the change that `given` options ask for."""
    from llmaug.retrieval.collection import Collection
    from llmaug.retrieval.index import Index

    if change == "merge":
        if len(corpus) < 2:
            raise PlanError(f"--merge puts several indexes together, and {corpus[0]} is one")
        encoder = (
            _opened(Path(corpus[0]), given)[1] if _named(given, ("embedder", *MODEL)) else None
        )
        return Index.merge(corpus, output, embedder=encoder, progress=progress)
    made, _ = _opened(output, given)
    if change == "delete":
        return made.delete(_doomed(corpus, made), progress=progress)
    reading: dict[str, Any] = {field: given.get(field) for field in READING}
    for name in corpus:
        read = Collection.read(name, **reading)
        made = made.add(read, progress=progress)
    return made


def _named(given: Mapping[str, Any], options: Collection[str]) -> str:
    """The first of these options that was given, as it is typed; "" for none."""
    return next((f"--{name.replace('_', '-')}" for name in options if name in given), "")


def _opened(folder: Path, given: Mapping[str, Any]) -> tuple[Index, Embedder | str | None]:
    """An index, and the embedder that the options name for it."""
    from llmaug.retrieval.index import Index

    where: dict[str, Any] = {name: given.get(name) for name in ("device", "base_url")}
    index = Index.open(folder, embedder=given.get("embedder"), **where)
    how = {"batch": "batch_size", "embed_backend": "backend"}
    if not (idle := _named(given, ("embedder", *MODEL))):
        return index, None
    if not index.about["dense"]:
        raise RetrievalError(f"{folder} has no vectors, so {idle} does not go with it")
    if not _named(given, how):
        return index, index.embedder
    from llmaug.embedders.embed import SERVERS, embedder

    made = index.about["dense"]["embedder"]
    name = given.get("embedder") or made["name"]
    if name.partition(":")[0] in SERVERS:
        raise PlanError(
            f"{_named(given, how)} does not go with changing an index of {name}; leave it out, "
            "requests shrink by themselves where the server wants it"
        )
    parameters = {key: value for key, value in made["parameters"].items() if key != "base_url"}
    parameters |= {how[option]: given[option] for option in how if option in given}
    encoder = embedder(name, **where, **parameters)
    return Index.open(folder, embedder=encoder), encoder


def _doomed(given: Sequence[str], index: Index) -> list[str]:
    """The ids to delete; raises `RetrievalError` where no document would be left."""
    doomed = read_ids(given, known=index.documents.ids)
    if set(doomed) >= set(index.documents.ids):
        raise RetrievalError(
            f"that would delete every document of {index.name}; to be rid of it, remove the folder"
        )
    return doomed


def read_ids(given: Sequence[str], *, known: Collection[str] = ()) -> list[str]:
    """Document ids: those of a file, one a line, or the words themselves.

    A single word that looks like a path is one, unless it is among the `known` ids.
    """
    word, path = given[0], Path(given[0])
    if len(given) == 1 and path.is_file():
        return _ids_in(path)
    if len(given) == 1 and word not in known:
        if path.is_dir():
            raise TextError(f"{word} is a folder; give a file of ids, one a line")
        if "/" in word or path.suffix.lower() in (".txt", ".tsv"):
            raise TextError(f"there is no file {word} of ids, and no document of that id")
    return list(given)


def _ids_in(path: Path) -> list[str]:
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise TextError(f"{path} is not UTF-8 at byte {error.start}; write it as UTF-8") from None
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise TextError(f"{path} holds no ids; write one a line")
    return ids
