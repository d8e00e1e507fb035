"""`stored`: variants that someone made earlier, looked up by root id in a JSONL file."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import orjson

from llmaug.errors import PlanError, did_you_mean
from llmaug.plan import Context, Step
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class Stored(Step):
    """The first `n` variants (all without `n`) that a JSONL file holds for each text's root.

    A line is `{"id": ROOT, "variants": [TEXT, …]}`; the id may be called `_id`, and `field` names
    the texts, one string or a list. Makes an experiment repeatable without a language model. A
    root that the file lacks is dropped as "not in FILE", a blank text as "empty". The whole file
    is read once, when the plan is checked; memory holds the ids alone.
    """

    file: str
    _: KW_ONLY
    n: int | None = None
    field: str = "variants"

    def check(self) -> None:
        if not isinstance(self.file, str) or not isinstance(self.field, str):
            raise PlanError(f"{self}: file and field must be strings")
        if self.n is not None and (
            isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 1
        ):
            raise PlanError(f"{self}: n must be a whole number above 0")
        index_of(self.file, self.field)

    def fingerprints(self) -> Mapping[str, str]:
        return {f"stored:{self.file}": index_of(self.file, self.field).mark}

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        index = index_of(self.file, self.field)
        stored = index.texts(ctx.root.id)
        if not stored:
            ctx.drop(
                ctx.root,
                f"no variants in {self.file}"
                if ctx.root.id in index.offsets
                else f"not in {self.file}",
            )
            return []
        variants = []
        for text in texts:
            for i, written in enumerate(stored[: self.n]):
                variant = text.derive(
                    written, made_by=f"{self}@{index.mark}", id=f"{text.id}/stored.{i}"
                )
                if written.strip():
                    variants.append(variant)
                else:
                    ctx.drop(variant, "empty")
        return variants


@dataclass(frozen=True)
class Index:
    """Where the line of each root begins in a file, and the file's fingerprint."""

    file: str
    field: str
    offsets: Mapping[str, int]  # in bytes
    mark: str  # 12 hex digits of SHA-256

    def texts(self, root: str) -> list[str]:
        """The texts stored for a root, none where the file lacks it."""
        if root not in self.offsets:
            return []
        with open(self.file, "rb") as lines:
            lines.seek(self.offsets[root])
            return _row(lines.readline(), self.field, self.file)[1]


def index_of(file: str, field: str) -> Index:
    """The index of a file as it is now, built once for each state of it."""
    try:
        state = os.stat(file)
        return _build(file, field, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise PlanError(f"stored: {file} cannot be read: {error.strerror}") from None


@functools.lru_cache(maxsize=16)
def _build(file: str, field: str, size: int, mtime_ns: int) -> Index:
    offsets: dict[str, int] = {}
    digest = hashlib.sha256()
    offset = 0
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            digest.update(line)
            if line.strip():
                where = f"{file}:{number}"
                root, _ = _row(line, field, where)
                if root in offsets:
                    raise PlanError(
                        f"{where}: the id {root!r} stands on an earlier line too; "
                        "join the two lines"
                    )
                offsets[root] = offset
            offset += len(line)
    return Index(file, field, offsets, digest.hexdigest()[:12])


def _row(line: bytes, field: str, where: str) -> tuple[str, list[str]]:
    """The root id and the texts on one line; raises `PlanError` with file and line number."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise PlanError(f"{where}: broken JSON: {error}") from None
    if not isinstance(row, dict):
        raise PlanError(f"{where}: not a JSON object")
    root = row.get("id", row.get("_id"))
    if isinstance(root, bool) or not isinstance(root, str | int):
        raise PlanError(f"{where}: no field 'id' or '_id' with a string or a number; {_found(row)}")
    if field not in row:
        hint = did_you_mean(field, row)
        close = f"; {hint}" if hint.startswith("did") else ""
        raise PlanError(f"{where}: no field {field!r}; {_found(row)}{close}")
    texts = row[field]
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise PlanError(f"{where}: the field {field!r} must be a string or a list of strings")
    return str(root), texts


def _found(row: Mapping[str, Any]) -> str:
    return f"the fields are {', '.join(sorted(row))}" if row else "the object is empty"
