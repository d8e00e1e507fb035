"""Recording replies, replaying them, and the contract that every backend is checked against."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmaug.backends import backend as make_backend
from llmaug.backends.fake import FakeBackend
from llmaug.backends.replay import RecordingBackend, ReplayBackend
from llmaug.errors import (
    BackendStopped,
    CacheError,
    LlmaugError,
    OutputError,
    RequestRefused,
    Unavailable,
)
from llmaug.request import Backend, Message, Reply, Request, Sampling
from llmaug.testing_backend import check_backend

REQUESTS = [
    Request(
        (Message("system", "Rewrite."), Message("user", f"text {i // 3} of a “film”\nabc d")),
        Sampling(temperature=0.5, stop=("END",), schema={"type": "string"}),
        sample=i % 3,
        attempt=i % 2,
        seed=2**62 + i,
    )
    for i in range(30)
]


def replies(backend: Backend, requests: list[Request]) -> list[Any]:
    """The reply or the error to each request, all asked at once."""

    async def run() -> list[Any]:
        await backend.start()
        try:
            asked = map(backend.complete, requests)
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await backend.close()

    return asyncio.run(run())


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "replies.jsonl"
    replies(RecordingBackend(FakeBackend(), path), REQUESTS)
    return path


def test_a_replay_gives_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    recorded = replies(RecordingBackend(FakeBackend(latency=0.001), path), REQUESTS)
    shuffled = random.Random(0).sample(REQUESTS, len(REQUESTS))
    assert replies(ReplayBackend(path), REQUESTS) == recorded
    assert replies(ReplayBackend(path), shuffled) == replies(FakeBackend(), shuffled)
    assert replies(make_backend(f"replay:{path}"), REQUESTS) == recorded


def test_a_line_is_a_request_and_its_reply(recording: Path) -> None:
    first = orjson.loads(recording.read_bytes().splitlines()[0])
    assert first["request"] == {
        "messages": [{"role": r, "content": c} for r, c in REQUESTS[0].messages],
        "sampling": {
            "temperature": 0.5,
            "top_p": 1.0,
            "max_tokens": 256,
            "stop": ["END"],
            "schema": {"type": "string"},
        },
        "sample": 0,
        "attempt": 0,
        "seed": 2**62,
    }
    assert set(first["reply"]) == {"text", "finish", "prompt_tokens", "completion_tokens"}


def test_names_and_parameters(recording: Path) -> None:
    fake = FakeBackend(window=5, name="fake:x")
    record = RecordingBackend(fake, recording)
    assert (record.name, record.window, record.parameters) == ("fake:x", 5, fake.parameters)
    assert ReplayBackend(recording).name == "replay:replies.jsonl"
    assert list(ReplayBackend(recording).parameters) == ["sha256"]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"sample": 9}, {"attempt": 9}, {"sampling": Sampling()}]
)
def test_a_request_that_was_not_recorded_is_refused(
    recording: Path, change: Mapping[str, Any]
) -> None:
    request = REQUESTS[0]
    fields = {name: getattr(request, name) for name in ("sampling", "sample", "attempt", "seed")}
    other = Request(request.messages, **(fields | dict(change)))
    (error,) = replies(ReplayBackend(recording), [other])
    assert isinstance(error, RequestRefused)
    assert f"{recording} holds no reply to this request (sample {other.sample}" in str(error)


def test_failures_are_not_recorded(tmp_path: Path) -> None:
    def answer(request: Request) -> str:
        raise Unavailable("busy")

    path = tmp_path / "replies.jsonl"
    (error,) = replies(RecordingBackend(FakeBackend(answer), path), REQUESTS[:1])
    assert str(error) == "busy"
    assert path.read_bytes() == b""


@pytest.mark.parametrize("kept", [1, 40, 0])
def test_a_torn_last_line_is_passed_over_and_cut_off(recording: Path, kept: int) -> None:
    whole = recording.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    recording.write_bytes(whole[: last + kept])
    results = replies(ReplayBackend(recording), REQUESTS)
    assert [isinstance(r, RequestRefused) for r in results] == [False] * 29 + [True]
    replies(RecordingBackend(FakeBackend(), recording), REQUESTS[29:])
    assert recording.read_bytes() == whole


def test_a_file_that_is_one_torn_line_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_bytes(b'{"request": ' + b"x" * 200_000)
    assert isinstance(replies(ReplayBackend(path), REQUESTS[:1])[0], RequestRefused)
    replies(RecordingBackend(FakeBackend(), path), REQUESTS[:1])
    assert isinstance(replies(ReplayBackend(path), REQUESTS[:1])[0], Reply)


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b"[]",
        b'"text"',
        b'{"request": {}}',
        b'{"request": {}, "reply": {"texts": "x"}}',
        b'{"request": {}, "reply": {"text": null}}',
        b"\xff\xfe",
    ],
)
def test_a_broken_line_is_named(recording: Path, broken: bytes) -> None:
    lines = recording.read_bytes().splitlines()
    lines[2] = broken
    recording.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(CacheError) as caught:
        replies(ReplayBackend(recording), REQUESTS)
    assert str(caught.value).startswith(f"{recording}:3 is not a recorded reply")


def test_the_last_reply_to_a_request_counts(recording: Path) -> None:
    replies(RecordingBackend(FakeBackend(lambda _: "newer"), recording), REQUESTS[:1])
    results = replies(ReplayBackend(recording), REQUESTS[:2])
    assert results[0].text == "newer"
    assert results[1].text != "newer"


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "replies.jsonl"
    with pytest.raises(BackendStopped, match=r"replies\.jsonl cannot be read: no such file"):
        replies(ReplayBackend(missing), [])
    with pytest.raises(OutputError, match=r"replies\.jsonl cannot be written: no such file"):
        replies(RecordingBackend(FakeBackend(), missing), [])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_and_no_reply_is_lost_silently() -> None:
    (error,) = replies(RecordingBackend(FakeBackend(), "/dev/full"), REQUESTS[:1])
    assert isinstance(error, OutputError)
    assert str(error) == "recording /dev/full cannot be written: no space left on device"


def test_asking_before_the_start_is_an_error(recording: Path) -> None:
    for backend in (ReplayBackend(recording), RecordingBackend(FakeBackend(), recording)):
        with pytest.raises(BackendStopped, match="is not started"):
            asyncio.run(backend.complete(REQUESTS[0]))


def test_the_recorder_keeps_the_contract_of_a_backend(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    asyncio.run(check_backend(RecordingBackend(FakeBackend(), path)))
    asyncio.run(check_backend(ReplayBackend(path)))
    assert path.stat().st_size > 0


class Forgetful(FakeBackend):
    async def complete(self, request: Request) -> Reply:
        return Reply(str(random.random()))


class Bare(FakeBackend):
    async def complete(self, request: Request) -> Reply:
        return "text"  # type: ignore[return-value]


class Talkative(FakeBackend):
    def __repr__(self) -> str:
        return f"Talkative({os.environ['LLMAUG_API_KEY']})"


class Growing(FakeBackend):
    async def complete(self, request: Request) -> Reply:
        self.parameters = {"asked": self.asked}
        return await super().complete(request)


@pytest.mark.parametrize(
    ("backend", "fault"),
    [
        (Forgetful(), "the same seed must give the same reply"),
        (Bare(), "complete must return a Reply, not str"),
        (FakeBackend(lambda _: Reply("x", "eos")), "finish must be stop, length"),
        (Talkative(), "must not hold the key in LLMAUG_API_KEY"),
        (Growing(), "name and parameters must not change in use"),
        (FakeBackend(name=""), "name must be one line"),
        (FakeBackend(window=0), "window must be at least 1"),
        (object(), "a backend has name, window"),
    ],
)
def test_the_contract_finds_faults(
    backend: Any, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMAUG_API_KEY", "sk-canary")
    with pytest.raises(AssertionError, match=fault):
        asyncio.run(check_backend(backend))


def test_every_error_of_a_recording_is_one_line(recording: Path) -> None:
    (error,) = replies(ReplayBackend(recording), [Request(REQUESTS[0].messages)])
    assert isinstance(error, LlmaugError)
    assert "\n" not in str(error)
