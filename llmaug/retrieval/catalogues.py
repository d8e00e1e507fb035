"""Collections that other libraries know by name: `irds:` of ir_datasets, `hf:` of datasets."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from llmaug.errors import LlmaugError, MissingExtra, TextError, did_you_mean
from llmaug.formats import arrow, endings, huggingface
from llmaug.formats.source import Fault, RawRow, Source
from llmaug.retrieval.documents import Corpus, wrong
from llmaug.retrieval.qrels import Qrels
from llmaug.retrieval.queries import queries_of

IRDS, HF = PREFIXES = ("irds:", "hf:")
EXAMPLES = {IRDS: "beir/scifact/test", HF: "BeIR/scifact"}
ROWS = 1_024  # rows in memory at once
SHOWN = 300  # characters of another library's error
JUDGEMENT = ("query-id", "corpus-id", "score")
CHATTER = ("[", "download error", "Download failed")  # how ir_datasets' progress notes begin


class Parts(NamedTuple):
    """A collection each part of which is fetched and read when it is asked for."""

    documents: Callable[[], Corpus]
    queries: Callable[[], dict[str, str]]
    qrels: Callable[[], Qrels]


class Listed:
    """Rows that another library gives, under the name by which it knows them."""

    text_field = "text"
    lined = False

    def __init__(
        self, name: str, rows: Callable[[], Iterable[dict[str, Any] | Fault]], *, count: int | None
    ) -> None:
        self.path, self._rows, self._count = Path(name), rows, count

    def rows(self) -> Iterator[RawRow]:
        with explained(str(self.path)):
            yield from enumerate(self._rows(), 1)

    def columns(self) -> Sequence[str] | None:
        return None

    def files(self) -> list[Path]:
        return []

    def row_estimate(self) -> int | None:
        return self._count


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Whatever goes wrong in another library, in one line."""
    try:
        yield
    except LlmaugError:
        raise
    except Exception as error:  # of any kind: the libraries do not say what they raise
        whole = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        reason = " ".join(whole.split())[:SHOWN] or type(error).__name__
        raise TextError(f"{name} cannot be fetched or read: {reason}") from None


def read(name: str, *, split: str, text: str | None, id: str | None, limit: int | None) -> Parts:
    """The collection that begins with one of `PREFIXES`; see `Collection.read`.

    Raises `MissingExtra` without the library, and `TextError` in one line for an unknown name and
    for what cannot be fetched.
    """
    library = IRDS if name.startswith(IRDS) else HF
    if not name.removeprefix(library).partition("#")[0].strip():
        raise TextError(f"{name} names no collection; write {library}{EXAMPLES[library]}")
    if library == IRDS:
        return _irds(name, text=text, id=id, limit=limit)
    repository, _, own_split = name.removeprefix(HF).partition("#")
    if (Path(repository) / "corpus").is_dir() and huggingface.is_dataset(
        Path(repository) / "corpus"
    ):
        part = partial(_saved_part, Path(repository))
    else:
        part = partial(_loaded_part, repository)

    def documents() -> Corpus:
        found = part("corpus", "corpus")
        if found is None:
            raise TextError(f"{name} has no part 'corpus' with documents, as BEIR data sets have")
        return Corpus([found], name=name, text=text, id=id, limit=limit)

    return Parts(
        documents,
        lambda: queries_of(source) if (source := part("queries", "queries")) else {},
        lambda: _judgements(source) if (source := part("qrels", own_split or split)) else {},
    )


def _irds(name: str, *, text: str | None, id: str | None, limit: int | None) -> Parts:
    try:
        import ir_datasets
    except ImportError:
        raise MissingExtra("ir-datasets", "irds") from None
    logging.getLogger("ir_datasets").addFilter(_no_chatter)
    known = name.removeprefix(IRDS)
    with explained(name):
        try:
            dataset = ir_datasets.load(known)
        except KeyError:
            hint = did_you_mean(known, ir_datasets.registry)
            hint = hint if hint.startswith("did") else "ir_datasets list shows the names"
            raise TextError(f"ir_datasets knows no {known!r}; {hint}") from None

    def listed(rows: Callable[[], Iterable[dict[str, Any]]], count: int | None = None) -> Listed:
        return Listed(name, rows, count=count)

    def documents() -> Corpus:
        with explained(name):
            if not dataset.has_docs():
                raise TextError(f"{name} has no documents; name the data set that it belongs to")
            count = (dataset.docs_metadata() or {}).get("count")
        rows = listed(lambda: (_document_row(row, text) for row in dataset.docs_iter()), count)
        return Corpus([rows], name=name, text=text, id=id or "doc_id", limit=limit)

    queries = listed(lambda: map(_query_row, dataset.queries_iter()))
    qrels = listed(lambda: map(_judgement_row, dataset.qrels_iter()))
    return Parts(
        documents,
        lambda: queries_of(queries) if dataset.has_queries() else {},
        lambda: _judgements(qrels) if dataset.has_qrels() else {},
    )


def _no_chatter(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(CHATTER)


def _document_row(document: Any, text: str | None) -> dict[str, Any]:
    """The plain fields of a document, such that title and text are its default text together.

    Where the caller names the field of the text, or the library has no default, they are as is.
    """
    row = {
        name: value
        for name, value in document._asdict().items()
        if isinstance(value, str | int | float | dict)
    }
    if text is None and hasattr(document, "default_text"):
        default = document.default_text()
        if default != f"{row.get('title')} {row.get('text')}":
            row.pop("title", None)
            row["text"] = default
    return row


def _query_row(query: Any) -> dict[str, Any]:
    if hasattr(query, "default_text"):
        return {"_id": query.query_id, "text": query.default_text()}
    return {"_id": query.query_id, "text": getattr(query, "text", getattr(query, "title", None))}


def _judgement_row(judgement: Any) -> dict[str, Any]:
    values = (judgement.query_id, judgement.doc_id, judgement.relevance)
    return dict(zip(JUDGEMENT, values, strict=True))


def _judgements(source: Source) -> Qrels:
    qrels: Qrels = {}
    for place, row in source.rows():
        if isinstance(row, Fault):
            raise wrong(source, place, row.detail)
        try:
            query, document, grade = (row[name] for name in JUDGEMENT)
            whole = int(grade)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise wrong(
                source, place, f"a judgement is {', '.join(JUDGEMENT)} (a whole number), not {row}"
            ) from None
        if whole != float(grade):
            raise wrong(source, place, f"the grade {grade} is not a whole number")
        judged = qrels.setdefault(str(query), {})
        if judged.setdefault(str(document), whole) != whole:
            raise wrong(
                source, place, f"{document} is judged twice for query {query}, with other grades"
            )
    return qrels


def _saved_part(folder: Path, part: str, split: str) -> Source | None:
    """One part of a folder in which each was saved by `datasets.save_to_disk`."""
    path = folder / part
    if not path.is_dir():
        return None
    if (path / huggingface.SPLITS).is_file():
        return endings.source(f"{path}#{split}")
    return endings.source(path)


def _loaded_part(repository: str, part: str, split: str) -> Source | None:
    """One part of a data set on the hub or in a folder laid out like one.

    Judgements are the configuration `qrels` or `default` of the data set itself, or else the
    data set NAME-qrels.
    """
    datasets = huggingface.library()
    with explained(f"{HF}{repository}"):
        names = datasets.get_dataset_config_names(repository)
        if part in names:
            return _loaded(repository, part, split)
        if part != "qrels":
            return None
        if "default" in names:
            return _loaded(repository, "default", split)
        try:
            names = datasets.get_dataset_config_names(f"{repository}-qrels")
        except (datasets.exceptions.DatasetNotFoundError, FileNotFoundError):
            return None
        return _loaded(f"{repository}-qrels", names[0], split)


def _loaded(repository: str, configuration: str, split: str) -> Source:
    datasets = huggingface.library()
    splits = datasets.get_dataset_split_names(repository, configuration)
    if split not in splits:
        if configuration not in ("corpus", "queries") or len(splits) != 1:
            raise TextError(
                f"{HF}{repository} has no split {split!r}; {did_you_mean(split, splits)}"
            )
        split = splits[0]
    dataset = datasets.load_dataset(repository, configuration, split=split).with_format("arrow")

    def rows() -> Iterator[dict[str, Any] | Fault]:
        for batch in dataset.iter(batch_size=ROWS):
            yield from arrow.rows_of(batch)

    return Listed(f"{HF}{repository}/{configuration}", rows, count=dataset.num_rows)
