"""The documents of a corpus, read one after the other as often as one likes."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from llmaug.errors import TextError
from llmaug.formats import endings
from llmaug.formats.fields import id_in, kind, lacking, short
from llmaug.formats.huggingface import is_dataset
from llmaug.formats.jsonl import CORPUS, JsonLines
from llmaug.formats.lines import PlainText
from llmaug.formats.seen import Seen
from llmaug.formats.source import Fault, Source
from llmaug.formats.trec_documents import TrecDocuments, looks_like_documents
from llmaug.text import Text

ID_FIELDS = ("_id", "id", "docno", "doc_id", "docid")
TEXT_FIELDS = ("text", "contents", "abstract", "body")
FILES = 2**40  # a place in the n-th file is n times this, plus the line


def contents(document: Text) -> str:
    """What is embedded and tokenised of a document: its title, a space, and its text."""
    title = document.meta.get("title")
    return f"{title} {document.text}".strip() if isinstance(title, str) else document.text.strip()


def read_corpus(
    path: str | Path, *, text: str | None = None, id: str | None = None, limit: int | None = None
) -> Corpus:
    """The documents of a BEIR folder, a JSONL, CSV, TSV, Parquet or text file, or TREC documents.

    `text` and `id` name the fields that hold them, where they are not among `TEXT_FIELDS` and
    `ID_FIELDS`; plain text has line numbers as ids. `limit` is how many documents to read.
    Raises `TextError` when there are none, or when the first one lacks a text or an id.
    """
    return Corpus(_sources(Path(path)), name=str(path), text=text, id=id, limit=limit)


class Corpus:
    """Documents as texts, in the order of their files; `meta` holds their other fields.

    A document may have an empty text (it is there to be found missing), and `title` is a string
    or absent. Iterating raises `TextError` at the first row that cannot be read, an id that is
    missing, holds white space or came before: an index that silently lacks documents is wrong.
    Memory does not grow with the number of documents.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        name: str,
        text: str | None = None,
        id: str | None = None,
        limit: int | None = None,
    ) -> None:
        if limit is not None and limit < 1:
            raise TextError(f"limit is {limit}; at least one document must be read")
        self.name, self.limit = name, limit
        self._sources = sources
        self._text_field, self._id_field = self._fields(text, id)

    def __iter__(self) -> Iterator[Text]:
        return islice(self._documents(), self.limit)

    def row_estimate(self) -> int | None:
        """About how many documents there are; None where only reading them all would tell."""
        rows = [source.row_estimate() for source in self._sources]
        known = [count for count in rows if count is not None]
        if len(known) < len(rows):
            return None
        return sum(known) if self.limit is None else min(sum(known), self.limit)

    def fingerprint(self) -> str:
        """SHA-256 over the ids and contents of all documents, 64 hex digits; reads them all.

        The same documents in another format have the same one.
        """
        digest = hashlib.sha256()
        for document in self:
            for part in (document.id, contents(document)):
                encoded = part.encode(errors="surrogatepass")
                digest.update(b"%d:%s" % (len(encoded), encoded))
        return digest.hexdigest()

    def _fields(self, text: str | None, id: str | None) -> tuple[str, str | None]:
        """The fields of text and id, decided by the first row for all."""
        first = next(((source, *row) for source in self._sources for row in source.rows()), None)
        if first is None:
            raise TextError(f"{self.name} holds no documents")
        source, place, row = first
        if isinstance(row, Fault):
            raise wrong(source, place, row.detail)
        if text is None:
            text = next((name for name in TEXT_FIELDS if name in row), None)
            if text is None:
                hint = f"name that of the text with text= ({', '.join(TEXT_FIELDS)} are found)"
                raise wrong(source, place, f"{lacking(TEXT_FIELDS[0], row)}; {hint}")
        if id is None and not isinstance(source, PlainText):
            id = next((name for name in ID_FIELDS if name in row and name != text), None)
            if id is None:
                hint = f"name that of the id with id= ({', '.join(ID_FIELDS)} are found)"
                raise wrong(source, place, f"{lacking(ID_FIELDS[0], row)}; {hint}")
        for name in (text, id):
            if name is not None and name not in row:
                raise wrong(source, place, lacking(name, row))
        return text, id

    def _documents(self) -> Iterator[Text]:
        with Seen(Path(self.name)) as seen:
            for number, source in enumerate(self._sources):
                for place, row in source.rows():
                    document = (
                        row
                        if isinstance(row, Fault)
                        else _document(row, place, text=self._text_field, id=self._id_field)
                    )
                    if isinstance(document, Fault):
                        raise wrong(source, place, document.detail)
                    if earlier := seen.before(document.id, number * FILES + place):
                        first = _where(self._sources[earlier // FILES], earlier % FILES)
                        raise wrong(
                            source,
                            place,
                            f"the id {short(document.id)!r} is also that of {first}; "
                            "the ids of documents must be unique",
                        )
                    yield document


def _document(row: dict[str, Any], place: int, *, text: str, id: str | None) -> Text | Fault:
    """The row as a document; takes its text, id and title out of the row."""
    own = str(place) if id is None else usable_id(row, id)
    if isinstance(own, Fault):
        return own
    if text not in row:
        return Fault("missing field", lacking(text, row))
    passage = row.pop(text)
    if passage is None:
        passage = ""
    elif type(passage) is not str:
        return Fault("not a text", f"the field {text!r} holds {kind(passage)}, not a string")
    if id is not None:
        row.pop(id, None)
    title = row.get("title", "")
    if title is None:
        del row["title"]
    elif type(title) is int:
        row["title"] = str(title)
    elif type(title) is not str:
        return Fault("not a text", f"the field 'title' holds {kind(title)}, not a string")
    return Text(passage, own, own, "", row)


def usable_id(row: dict[str, Any], field: str) -> str | Fault:
    """The id in this field of a row, or why rankings could not name the row by it."""
    id = id_in(row, field)
    if isinstance(id, Fault) or id.split() == [id]:
        return id
    return Fault(
        "bad id",
        f"the id {short(id)!r} holds white space, which a ranking in TREC format cannot; "
        "replace it, for example by _",
    )


def _where(source: Source, place: int) -> str:
    return f"{source.path}:{place}" if source.lined else f"{source.path}: row {place}"


def wrong(source: Source, place: int, detail: str) -> TextError:
    """The error that a row is wrong, with its file and line."""
    return TextError(f"{_where(source, place)}: {detail}")


def _sources(path: Path) -> list[Source]:
    if not path.is_dir() or is_dataset(path):
        return [endings.source(existing(path))]
    for name in (CORPUS, f"{CORPUS}.gz"):
        if (path / name).is_file():
            return [JsonLines(path / name)]
    files = (file for file in path.rglob("*") if file.is_file() and file.name[0] != ".")
    found: list[Path] = []
    for file in files:
        if not looks_like_documents(file):
            raise _no_corpus(path, f"{file.relative_to(path)} in it holds no TREC documents")
        found.append(file)
    if not found:
        raise _no_corpus(path, "it is empty")
    return [TrecDocuments(file) for file in sorted(found)]


def _no_corpus(folder: Path, reason: str) -> TextError:
    return TextError(
        f"the folder {folder} is no corpus: it has no {CORPUS} (BEIR), is no dataset made by "
        f"save_to_disk, and {reason}"
    )


def existing(path: Path) -> Path:
    """The path, or that of the folder in `FOLDER#SPLIT`; raises `TextError` where it is not."""
    folder = Path(str(path).rsplit("#", 1)[0])
    if path.exists() or folder.is_dir():
        return path
    beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=3)
    hint = f"; did you mean {' or '.join(str(path.parent / name) for name in close)}?"
    raise TextError(f"{path} does not exist{hint if close else ''}")
