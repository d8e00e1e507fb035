"""What is said of an index: after building it, and by `llmaug show index`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmaug.cli.evaluation_tables import printable

if TYPE_CHECKING:
    from llmaug.retrieval.collection import Collection
    from llmaug.retrieval.index import Index


def account(made: Index, seconds: float, *, deleting: bool = False) -> list[str]:
    """What was built, how exact it is, how fast, and what of the index before is gone.

    `deleting` says that documents were to go.
    """
    about = made.about
    lines = [f"{_documents(made)} in {seconds:,.1f} s"]
    if about.get("gone") and not deleting:
        lines.append(f"{about['gone']:,} documents of the index before are no longer in it")
    lines += _sides(made, encoded=True)
    lines.append(f"written: {made.folder}; next: llmaug search {made.folder} QUERIES -o run.trec")
    return lines


def findings(collection: Collection) -> list[str]:
    """What does not fit together in a collection that brings judgements; reads it once more."""
    if not collection.qrels:
        return []
    return [f"note: {printable(str(finding))}" for finding in collection.check()]


def described(index: Index) -> list[str]:
    """Everything that is known of an index without loading its model."""
    about = index.about
    lines = [_documents(index), *_sides(index, encoded=False)]
    if about["dense"]:
        made = about["dense"]["embedder"]
        lines.append(f"embedder: {made['name']}, fingerprint {made['fingerprint']}")
        lines += [f"  {name}: {value!r}" for name, value in made["parameters"].items()]
        lines.append(f"  query prompt: {made['query_prompt']!r}")
    settings = ", ".join(
        f"{name}={value}" for name, value in about["settings"].items() if value is not None
    )
    lines.append(f"settings: {settings}")
    lines.append(f"searched by: {', '.join(index.modes)}; fingerprint {index.fingerprint}")
    lines.append(f"edition: {index.edition.name}, written by llmaug {about['llmaug']}")
    lines += _sizes(index)
    return [printable(line) for line in lines]


def _documents(index: Index) -> str:
    empty = index.about["empty"]
    return f"{len(index):,} documents" + (f" ({empty:,} of them empty)" if empty else "")


def _sides(index: Index, *, encoded: bool) -> list[str]:
    from llmaug.retrieval.ann_recall import Recall

    lines = []
    if dense := index.about["dense"]:
        effort = f", {dense['effort_name']} {dense['effort']}" if dense["effort_name"] else ""
        now = f"{dense['encoded']:,} texts encoded now; " if encoded else ""
        lines.append(
            f"dense: {dense['embedder']['name']}, {dense['dimension']} dimensions, "
            f"{now}{dense['factory']}{effort}"
        )
        lines.append(str(Recall(**dense["recall"])))
    if lexical := index.about["lexical"]:
        lines.append(f"words: {lexical['settings']}")
    return lines


def _sizes(index: Index) -> list[str]:
    from llmaug.retrieval.index_folder import VECTORS

    files = {path: path.stat().st_size for path in _files(index.edition)}
    lines = [f"files: {_size(sum(files.values()))} in {index.edition}"]
    lines += [f"  {path.relative_to(index.edition)}: {_size(files[path])}" for path in files]
    if index.about["dense"]:
        store = index.folder / (index.about["vectors"] or VECTORS)
        size = _size(sum(path.stat().st_size for path in _files(store)))
        lines.append(f"vector store: {size} in {store}" if store.is_dir() else f"no store: {store}")
    return lines


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _size(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)
