"""Whole runs against a server that misbehaves: a clear line or a full recovery, and no loss."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import llmaug as la
from llmaug.batch import Summary
from llmaug.errors import BackendStopped
from llmaug.testing import MisbehavingServer


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back off for a hundredth of the time."""
    monkeypatch.setattr("llmaug.calls.random.uniform", lambda low, high: 0.01)


def augmented(
    folder: Path,
    server: MisbehavingServer,
    *,
    plan: str = "keep() + paraphrase(n=2)",
    rows: int = 60,
    **options: Any,
) -> Summary:
    source = folder / "in.jsonl"
    if not source.exists():
        source.write_text(
            "".join(
                json.dumps({"id": f"r{i}", "text": f"row {i} " + "word " * (i % 50)}) + "\n"
                for i in range(rows)
            )
        )
    backend = la.backend("chat:test-model", base_url=server.url, timeout=5.0, window=16)
    return la.augment_file(
        la.Job(la.parse(plan), la.read(source), folder / "out.jsonl", {"lm": backend}), **options
    )


@pytest.mark.parametrize(
    "troubles",
    [
        {"failing": 0.1},
        {"throttle_first": 5, "retry_after": "0"},
        {"most_at_once": 3},
        {"reply": "halfway", "reply_share": 0.2},
        {"reply": "not json", "reply_share": 0.2},
        {"reply": "wrong shape", "reply_share": 0.1},
        {"models": "missing"},
        {"latency": 0.005},
    ],
    ids=str,
)
def test_transient_troubles_are_survived(tmp_path: Path, troubles: dict[str, Any]) -> None:
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    with MisbehavingServer().in_thread() as server:
        augmented(quiet, server)
    (quiet / "out.jsonl").rename(tmp_path / "expected")
    with MisbehavingServer(**troubles).in_thread() as server:
        summary = augmented(tmp_path, server)
    assert str(summary) == "60 rows in = 60 done + 0 failed"
    # The endpoint is part of the cache key and not of the seed, so the replies are the same.
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "expected").read_bytes()


def test_context_overflow_fails_its_rows_alone(tmp_path: Path) -> None:
    with MisbehavingServer(longest=480).in_thread() as server:
        summary = augmented(tmp_path, server)
    assert summary.done > 0
    assert summary.failed > 0
    assert summary.rows == 60
    failures = [
        json.loads(line) for line in (summary.run / "failures.jsonl").read_text().splitlines()
    ]
    assert {failure["error"] for failure in failures} == {"RequestRefused"}
    assert all("too long" in failure["message"] for failure in failures)


@pytest.mark.parametrize(("reply", "reason"), [("cut off", "truncated"), ("empty", "unfit reply")])
def test_useless_replies_are_counted_by_reason(tmp_path: Path, reply: str, reason: str) -> None:
    with MisbehavingServer(reply=reply, reply_share=0.2).in_thread() as server:
        summary = augmented(tmp_path, server, plan="keep() + paraphrase(n=6)")
    assert summary.rows == 60
    if reply == "cut off":
        assert summary.tally.drops[reason] > 0
    assert set(summary.tally.drops) <= {reason}


@pytest.mark.parametrize(
    ("troubles", "says"),
    [
        ({"key": "secret"}, "LLMAUG_API_KEY"),
        ({"status": 404, "message": "no such model"}, "does not know the model"),
        ({"redirect": "http://elsewhere.example/v1"}, "elsewhere.example"),
    ],
)
def test_what_no_row_can_escape_stops_at_once(
    tmp_path: Path, troubles: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLMAUG_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with (
        MisbehavingServer(**troubles).in_thread() as server,
        pytest.raises(BackendStopped) as caught,
    ):
        augmented(tmp_path, server)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_down_at_the_start(tmp_path: Path) -> None:
    server = MisbehavingServer()
    with server.in_thread():
        pass
    with pytest.raises(BackendStopped, match="nothing answers"):
        augmented(tmp_path, server)


def test_a_server_that_dies_and_comes_back(tmp_path: Path) -> None:
    server = MisbehavingServer(latency=0.02)
    result: list[Summary] = []
    work = threading.Thread(target=lambda: result.append(augmented(tmp_path, server, rows=300)))
    with server.in_thread():
        work.start()
        while server.requests < 50:
            time.sleep(0.005)
    time.sleep(0.2)
    with server.in_thread():
        work.join(60)
    assert str(result[0]) == "300 rows in = 300 done + 0 failed"
    assert result[0].tally.spent.retried > 0
