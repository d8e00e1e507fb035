"""TREC documents: `<DOC>`, `<DOCNO>`, `<TITLE>` or `<HEADLINE>`, `<TEXT>`, …, `</DOC>`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from llmaug.errors import TextError
from llmaug.formats.lines import BOM, LONGEST, LineFile, invalid_utf8, numbered, reading
from llmaug.formats.source import Fault, RawRow

NAMES = {"docno": "id", "headline": "title", "hl": "title", "head": "title", "ttl": "title"}
JOINED = {"text": "text", "lp": "text", "leadpara": "text"}  # a document may have several of these
TAG = re.compile(r"<(/?)([A-Za-z][\w.-]*)[^<>]*>")


class TrecDocuments(LineFile):
    """Documents with `id` (`<DOCNO>`), `title`, `text`, and whatever else they hold.

    A field is an element directly below `<DOC>`; tags inside it are left out, entities are
    resolved and line breaks become spaces. The text is that of all `<TEXT>`, `<LP>` and
    `<LEADPARA>` elements, empty where there is none. What stands between documents is not read.
    """

    def rows(self) -> Iterator[RawRow]:
        lines: list[bytes] = []
        start = size = 0
        for number, line in numbered(self.path):
            content = b"" if isinstance(line, Fault) else line
            word = content.strip().lower()
            if word.startswith(b"<doc>"):
                if start:
                    yield start, Fault("broken document", "the document has no </DOC>")
                start, lines, size = number, [], 0
            if not start:
                continue
            size += LONGEST if isinstance(line, Fault) else len(content)
            if size <= LONGEST:
                lines.append(content)
            if word.endswith(b"</doc>"):
                long = Fault("line too long", f"the document has more than {LONGEST:,} bytes")
                yield start, _document(lines) if size <= LONGEST else long
                start = 0
        if start:
            yield start, Fault("broken document", "the document has no </DOC>")

    def row_estimate(self) -> int | None:
        return None


def _document(lines: list[bytes]) -> dict[str, str] | Fault:
    try:
        content = b"".join(lines).decode()
    except UnicodeDecodeError as error:
        return invalid_utf8(error)
    content = content.strip()[len("<DOC>") : -len("</DOC>")]
    document: dict[str, str] = {}
    for tag, inside in _elements(content):
        name = JOINED.get(tag) or NAMES.get(tag, tag)
        value = _plain(inside)
        if name == "text" and name in document:
            document[name] = f"{document[name]} {value}".strip()
        elif name == "id" and name in document:
            return Fault("broken document", "the document has <DOCNO> twice")
        else:
            document.setdefault(name, value)
    if "id" not in document:
        return Fault("broken document", "the document has no <DOCNO>…</DOCNO>")
    document.setdefault("text", "")
    return document


def _elements(content: str) -> Iterator[tuple[str, str]]:
    """The outermost elements that are closed, in order: name in small letters, and inside.

    The time grows with the content alone, however its tags are nested.
    """
    closed = {tag[2].lower(): tag.start() for tag in TAG.finditer(content) if tag[1]}
    open_name, begin = "", 0
    for tag in TAG.finditer(content):
        name = tag[2].lower()
        if tag[1]:
            if name == open_name:
                yield name, content[begin : tag.start()]
                open_name = ""
        elif not open_name and closed.get(name, -1) > tag.start():
            open_name, begin = name, tag.end()


def _plain(inside: str) -> str:
    return " ".join(html.unescape(TAG.sub(" ", inside)).split())


def looks_like_documents(path: Path) -> bool:
    """Whether a file begins with a TREC document."""
    try:
        with reading(path) as file:
            begin = file.read(4096).removeprefix(BOM).lstrip().lower()
        return begin.startswith(b"<doc>") or (
            begin.startswith(b"<") and b"<doc>" in begin and b"<docno>" in begin
        )
    except TextError:
        return False
