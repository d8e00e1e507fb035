"""TREC topics: `<top>`, `<num> Number: 301`, `<title>`, `<desc>`, `<narr>`, `</top>`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from llmaug.errors import TextError
from llmaug.formats.lines import LONGEST, LineFile, invalid_utf8, numbered, reading
from llmaug.formats.source import Fault, RawRow

NAMES = {"num": "id", "desc": "description", "narr": "narrative"}
TAG = re.compile(r"^[ \t]*<([A-Za-z][\w-]*)>", re.MULTILINE)
CLOSING = re.compile(r"</[A-Za-z][\w-]*>\s*$")
LABEL = re.compile(r"^\s*(Number|Topic|Description|Narrative):", re.IGNORECASE)


class Topics(LineFile):
    """Topics with `id`, `title`, `description` and `narrative`; other tags keep their names.

    Line breaks inside a topic are layout and become spaces. What stands between topics is not
    read.
    """

    text_field = "title"

    def rows(self) -> Iterator[RawRow]:
        topic: list[bytes] = []
        start = size = 0
        for number, line in numbered(self.path):
            content = b"" if isinstance(line, Fault) else line
            word = content.strip().lower()
            if word.startswith(b"<top>"):
                if start:
                    yield start, Fault("broken topic", "the topic has no </top>")
                start, topic, size = number, [], 0
                content = content.strip()[len(b"<top>") :]
            if not start:
                continue
            size += LONGEST if isinstance(line, Fault) else len(content)
            if size <= LONGEST:
                topic.append(content)
            if word.endswith(b"</top>"):
                yield (
                    start,
                    _topic(topic)
                    if size <= LONGEST
                    else Fault("line too long", f"the topic has more than {LONGEST:,} bytes"),
                )
                start = 0
        if start:
            yield start, Fault("broken topic", "the topic has no </top>")

    def row_estimate(self) -> int | None:
        return None


def _topic(lines: list[bytes]) -> dict[str, str] | Fault:
    try:
        text = b"".join(lines).decode()
    except UnicodeDecodeError as error:
        return invalid_utf8(error)
    text = re.sub(r"</top>\s*$", "", text, flags=re.IGNORECASE)
    _, *tagged = TAG.split(text)
    topic: dict[str, str] = {}
    for tag, content in zip(tagged[::2], tagged[1::2], strict=True):
        name = NAMES.get(tag.lower(), tag.lower())
        if name in topic:
            return Fault("broken topic", f"the topic has <{tag}> twice")
        content = LABEL.sub("", CLOSING.sub("", content))
        topic[name] = " ".join(content.split())
    return topic


def looks_like_topics(path: Path) -> bool:
    """Whether a file without a telling name begins with a topic."""
    try:
        with reading(path) as file:
            begin = file.read(4096).lower().split()
        return begin[:1] == [b"<top>"] and any(word.startswith(b"<num>") for word in begin)
    except TextError:
        return False
