"""Replies recorded to a file, and read back from it instead of asking a model again.

The file is JSONL; a line holds `request` (messages, sampling, sample, attempt, seed) and `reply`
(text, finish, prompt_tokens, completion_tokens).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from llmaug.errors import BackendStopped, CacheError, OutputError, RequestRefused
from llmaug.request import Backend, Reply, Request, Sampling

KEY_BYTES = 16  # of the SHA-256: enough to tell any number of requests apart
SAMPLING_FIELDS = tuple(field.name for field in dataclasses.fields(Sampling))


def line(request: Request, reply: Reply) -> bytes:
    """One line of a recording."""
    return orjson.dumps(
        {"request": _canonical(request), "reply": reply},
        option=orjson.OPT_APPEND_NEWLINE,
        default=dict,
    )


def _canonical(request: Request) -> dict[str, Any]:
    return {
        "messages": [{"role": role, "content": content} for role, content in request.messages],
        # As a dict, because the fields of dataclasses keep their order where keys are sorted.
        "sampling": {field: getattr(request.sampling, field) for field in SAMPLING_FIELDS},
        "sample": request.sample,
        "attempt": request.attempt,
        "seed": request.seed,
    }


def _key(canonical: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS, default=dict)
    return hashlib.sha256(text).digest()[:KEY_BYTES]


def _reply(recorded: Mapping[str, Any]) -> Reply:
    reply = Reply(**recorded["reply"])
    if not isinstance(reply.text, str):
        raise TypeError("a reply's text is a string")
    return reply


class ReplayBackend:
    """Answers from a recording; a request that is not in it is refused.

    Memory holds a 16-byte key and a position for each line, not the replies. The last reply to
    a request counts. A last line without its end is passed over: the recorder was killed in it.
    """

    def __init__(self, path: str | Path, *, window: int = 64) -> None:
        self.path, self.window = Path(path), window
        self.name = f"replay:{self.path.name}"
        self._mark: str | None = None
        self._places: dict[bytes, int] = {}
        self._lines: BinaryIO | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The recording's SHA-256: another recording gives other replies."""
        if self._mark is None:
            try:
                with self.path.open("rb") as lines:
                    self._mark = hashlib.file_digest(lines, "sha256").hexdigest()
            except OSError as error:
                raise BackendStopped(
                    f"recording {self.path} cannot be read: {_why(error)}"
                ) from None
        return {"sha256": self._mark}

    async def start(self) -> None:
        await self.close()
        try:
            self._lines = self.path.open("rb")
            self._places = self._index(self._lines)
        except OSError as error:
            await self.close()
            raise BackendStopped(f"recording {self.path} cannot be read: {_why(error)}") from None
        except CacheError:
            await self.close()
            raise

    def _index(self, lines: BinaryIO) -> dict[bytes, int]:
        places: dict[bytes, int] = {}
        place = 0
        for number, text in enumerate(lines, start=1):
            if text.endswith(b"\n") and text.strip():
                places[self._key_of(text, number)] = place
            place += len(text)
        return places

    def _key_of(self, text: bytes, number: int) -> bytes:
        try:
            recorded = orjson.loads(text)
            _reply(recorded)
            return _key(recorded["request"])
        except (orjson.JSONDecodeError, LookupError, TypeError):
            raise CacheError(
                f"{self.path}:{number} is not a recorded reply; take the line out or record again"
            ) from None

    async def complete(self, request: Request) -> Reply:
        if self._lines is None:
            raise BackendStopped(f"{self.name} is not started: await start() first")
        place = self._places.get(_key(_canonical(request)))
        if place is None:
            raise RequestRefused(
                f"{self.path} holds no reply to this request (sample {request.sample}, seed "
                f"{request.seed}): replay with the plan, prompts, input and seed of the recording"
            )
        self._lines.seek(place)
        return _reply(orjson.loads(self._lines.readline()))

    async def close(self) -> None:
        lines, self._lines = self._lines, None
        if lines is not None:
            lines.close()


class RecordingBackend:
    """Passes requests on to another backend and appends every reply to a file.

    It has the name and the parameters of the other one, so that caches and runs do not tell them
    apart. A line is one write, so several processes may append to one file.
    """

    def __init__(self, backend: Backend, path: str | Path) -> None:
        self.backend, self.path = backend, Path(path)
        self.name, self.window = backend.name, backend.window
        self.parameters = backend.parameters
        self._file: int | None = None

    async def start(self) -> None:
        self._end_recording()
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            _cut_torn_line(self._file)
        except OSError as error:
            self._end_recording()
            raise self._unwritable(_why(error)) from None
        try:
            await self.backend.start()
        except BaseException:
            self._end_recording()
            raise

    async def complete(self, request: Request) -> Reply:
        if self._file is None:
            raise BackendStopped(f"{self.name} is not started: await start() first")
        reply = await self.backend.complete(request)
        text = line(request, reply)
        try:
            written = os.write(self._file, text)
        except OSError as error:
            raise self._unwritable(_why(error)) from None
        if written < len(text):
            raise self._unwritable("the disk is full")
        return reply

    def _unwritable(self, why: str) -> OutputError:
        return OutputError(f"recording {self.path} cannot be written: {why}")

    async def close(self) -> None:
        self._end_recording()
        await self.backend.close()

    def _end_recording(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _why(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()


def _cut_torn_line(file: int) -> None:
    """Take off a last line without its end, which the next line would be glued to."""
    size = end = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(file, end)
