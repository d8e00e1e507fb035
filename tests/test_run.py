"""Runs: nothing lost, nothing mixed, everything counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import llmaug as la
from llmaug.batch import Summary
from llmaug.errors import OutputError, ResumeRefused, RunBusy, RunError
from llmaug.testing import FakeBackend

PLAN = "keep() + paraphrase(n=2) >> dedupe()"


def texts_file(folder: Path, count: int = 20, name: str = "in.jsonl") -> Path:
    path = folder / name
    path.write_text(
        "".join(
            json.dumps({"id": f"r{i}", "text": f"text number {i} of some words", "label": i % 2})
            + "\n"
            for i in range(count)
        )
    )
    return path


def job(folder: Path, plan: str = PLAN, backend: Any = None, **options: Any) -> la.Job:
    source = folder / "in.jsonl"
    if not source.exists():
        texts_file(folder)
    return la.Job(
        la.parse(plan),
        la.read(source),
        folder / "out.jsonl",
        {"lm": backend or FakeBackend()},
        **options,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_accounts_for_every_row(tmp_path: Path) -> None:
    source = texts_file(tmp_path, 5)
    with source.open("ab") as more:
        more.write(
            b'{"id": "r9", "text": "\xff"}\n{broken\n{"id": "r0", "text": "again"}\n'
            b'{"id": "e", "text": " "}\n{"id": "m"}\n'
        )
    summary = la.augment_file(job(tmp_path))
    assert str(summary) == "10 rows in = 5 done + 5 failed"
    failures = lines(summary.run / "failures.jsonl")
    assert {f["error"] for f in failures} == {
        "invalid UTF-8",
        "broken JSON",
        "duplicate id",
        "empty text",
        "missing field",
    }
    assert [f["line"] for f in sorted(failures, key=lambda f: f["line"])] == [6, 7, 8, 9, 10]
    assert all(f"in.jsonl:{f['line']}" in f["message"] for f in failures)
    progress = json.loads((summary.run / "progress.json").read_text())
    assert (progress["state"], progress["rows"]) == ("complete", 10)


def test_the_output_is_in_the_order_of_the_input_and_carries_its_fields(tmp_path: Path) -> None:
    la.augment_file(job(tmp_path, backend=FakeBackend(latency=0.001)))
    made = lines(tmp_path / "out.jsonl")
    assert [row["root"] for row in made if not row["made_by"]] == [f"r{i}" for i in range(20)]
    assert all(row["label"] == int(row["root"][1:]) % 2 for row in made)


def test_a_finished_run_asks_nothing_and_writes_the_output_again(tmp_path: Path) -> None:
    la.augment_file(job(tmp_path))
    before = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "out.jsonl").unlink()
    backend = FakeBackend()
    summary = la.augment_file(job(tmp_path, backend=backend))
    assert backend.asked == 0
    assert summary.resumed == 20
    assert (tmp_path / "out.jsonl").read_bytes() == before


@pytest.mark.parametrize("tail", [b'{"row":19,"root":"r', b'{"row":20}', b"\0\0\0"])
def test_a_torn_last_line_is_cut_off_and_its_row_made_again(tmp_path: Path, tail: bytes) -> None:
    summary = la.augment_file(job(tmp_path))
    before = (tmp_path / "out.jsonl").read_bytes()
    journal = summary.run / "output.jsonl"
    whole = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(whole[:-1]) + tail)
    backend = FakeBackend()
    la.augment_file(job(tmp_path, backend=backend))
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert backend.asked == 0  # its replies were in the cache


def test_a_line_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    summary = la.augment_file(job(tmp_path))
    with (summary.run / "output.jsonl").open("a") as journal:
        journal.write("not ours\n")
    with pytest.raises(RunError, match=r"not one that llmaug wrote; use --fresh"):
        la.augment_file(job(tmp_path))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"plan": "paraphrase()"},
            "another plan: keep() + paraphrase(n=2) >> dedupe() there, paraphrase() now",
        ),
        ({"seed": 3}, "another seed: 0 there, 3 now"),
        ({"backend": FakeBackend(name="other")}, "another lm: fake there, other now"),
    ],
)
def test_another_configuration_is_refused_with_both_values(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    la.augment_file(job(tmp_path))
    with pytest.raises(ResumeRefused) as caught:
        la.augment_file(job(tmp_path, **change))
    assert says in str(caught.value)
    assert "--fresh" in str(caught.value)


def test_another_input_prompt_or_parameter_is_refused(tmp_path: Path) -> None:
    prompt = tmp_path / "p.prompty"
    content = (
        "---\nmodel:\n  parameters: {max_tokens: 9}\ninputs: {text: it}\n---\n"
        "user:\nSay: {{ text }}\n"
    )
    prompt.write_text(content)
    plan = f"generate({str(prompt)!r})"
    la.augment_file(job(tmp_path, plan))
    backend = FakeBackend()
    backend.parameters = {"endpoint": "http://elsewhere"}
    with pytest.raises(ResumeRefused, match=r"another lm.endpoint: nothing there, http://else"):
        la.augment_file(job(tmp_path, plan, backend))
    (tmp_path / "in.jsonl").write_text('{"text": "other"}\n')
    with pytest.raises(ResumeRefused, match="another input"):
        la.augment_file(job(tmp_path, plan))
    texts_file(tmp_path)
    prompt.write_text(content.replace("Say", "Shout"))
    with pytest.raises(ResumeRefused, match="another prompt:"):
        la.augment_file(job(tmp_path, plan))


def test_fresh_starts_anew_and_keeps_what_was_paid(tmp_path: Path) -> None:
    la.augment_file(job(tmp_path))
    backend = FakeBackend()
    summary = la.augment_file(job(tmp_path, "paraphrase(n=2)", backend), fresh=True)
    assert summary.resumed == 0
    assert backend.asked == 0
    assert "dedupe" not in (summary.run / "manifest.json").read_text()


def test_a_run_in_which_nothing_was_finished_may_be_begun_with_another_plan(tmp_path: Path) -> None:
    def down(request: la.Request) -> str:
        raise la.LlmaugError("down")

    from llmaug.errors import BackendStopped

    class Down(FakeBackend):
        async def start(self) -> None:
            raise BackendStopped("nothing answers")

    with pytest.raises(BackendStopped):
        la.augment_file(job(tmp_path, backend=Down(down)))
    assert la.augment_file(job(tmp_path, "paraphrase()")).done == 20


def test_an_output_that_no_run_made_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("precious\n")
    with pytest.raises(OutputError, match="exists and no run of ours made it"):
        la.augment_file(job(tmp_path))
    assert (tmp_path / "out.jsonl").read_text() == "precious\n"


def test_the_limit_may_grow(tmp_path: Path) -> None:
    assert la.augment_file(job(tmp_path, limit=5)).rows == 5
    assert la.augment_file(job(tmp_path, limit=12)).rows == 12
    with pytest.raises(RunError, match=r"reaches row 12, more than --limit 3"):
        la.augment_file(job(tmp_path, limit=3))
    assert la.augment_file(job(tmp_path)).rows == 20


def failing_once(bad: str) -> tuple[FakeBackend, dict[str, bool]]:
    from llmaug.errors import RequestRefused

    state = {"broken": True}

    def answer(request: la.Request) -> str:
        if state["broken"] and bad in request.messages[-1].content:
            raise RequestRefused("too long")
        return f"a reply of sample {request.sample} to " + request.messages[-1].content[-30:]

    return FakeBackend(answer), state


def test_retry_failed_runs_only_the_failures(tmp_path: Path) -> None:
    backend, state = failing_once("number 7 ")
    first = la.augment_file(job(tmp_path, backend=backend))
    assert (first.done, first.failed) == (19, 1)
    again = la.augment_file(job(tmp_path, backend=backend))
    assert (again.done, again.failed, again.resumed) == (19, 1, 20)
    state["broken"] = False
    asked = backend.asked
    mended = la.augment_file(job(tmp_path, backend=backend), retry_failed=True)
    assert (mended.done, mended.failed) == (20, 0)
    assert backend.asked - asked == 2
    assert lines(mended.run / "failures.jsonl") == []
    assert [r["root"] for r in lines(tmp_path / "out.jsonl") if not r["made_by"]] == [
        f"r{i}" for i in range(20)
    ]


def test_retrying_a_reply_that_never_fitted_draws_new_ones(tmp_path: Path) -> None:
    texts_file(tmp_path, 1)
    backend = FakeBackend(lambda r: "fits" if r.attempt > 4 else "")
    assert la.augment_file(job(tmp_path, "generate('paraphrase')", backend)).failed == 1
    second = la.augment_file(job(tmp_path, "generate('paraphrase')", backend), retry_failed=True)
    assert second.done == 1


def test_a_result_that_is_not_json_is_a_counted_failure(tmp_path: Path) -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    texts_file(tmp_path, 3)
    asked = job(tmp_path, "keep()")
    plain = asked.source.rows

    def rows() -> Any:
        for text in plain():
            yield text.with_meta(odd=circle) if text.id == "r1" else text

    asked.source.rows = rows  # type: ignore[method-assign]
    summary = la.augment_file(asked)
    assert str(summary) == "3 rows in = 2 done + 1 failed"
    assert lines(summary.run / "failures.jsonl")[0]["error"] == "not JSON"


def test_a_retry_that_stops_early_keeps_the_account_of_failures(tmp_path: Path) -> None:
    from llmaug.errors import BackendStopped

    backend, _ = failing_once("number 7 ")
    la.augment_file(job(tmp_path, backend=backend))

    class Down(FakeBackend):
        async def start(self) -> None:
            raise BackendStopped("nothing answers")

    with pytest.raises(BackendStopped):
        la.augment_file(job(tmp_path, backend=Down()), retry_failed=True)
    again = la.augment_file(job(tmp_path, backend=backend))
    assert str(again) == "20 rows in = 19 done + 1 failed"


def test_a_stop_says_what_is_kept(tmp_path: Path) -> None:
    from llmaug.errors import BackendStopped

    def answer(request: la.Request) -> str:
        if "number 15 " in request.messages[-1].content:
            raise BackendStopped("the key was refused")
        return "a reply"

    with pytest.raises(BackendStopped) as caught:
        la.augment_file(job(tmp_path, backend=FakeBackend(answer, window=1)), window=1)
    assert any("rows in =" in note for note in caught.value.__notes__)


def test_strict_stops_at_the_first_bad_row(tmp_path: Path) -> None:
    texts_file(tmp_path, 3)
    with (tmp_path / "in.jsonl").open("a") as more:
        more.write("{broken\n")
    with pytest.raises(la.LlmaugError, match=r"in.jsonl:4.*--strict stops here"):
        la.augment_file(job(tmp_path), strict=True)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    started = child(tmp_path, latency=0.2)
    wait_for(tmp_path / "out.jsonl.run" / "lock")
    time.sleep(0.3)
    with pytest.raises(RunBusy, match="another process works on this run"):
        la.augment_file(job(tmp_path, backend=FakeBackend(latency=0.2)))
    started.kill()
    started.wait()


CHILD = """
import sys, pathlib
import llmaug as la
folder = pathlib.Path(sys.argv[1])
summary = la.augment_file(la.Job(la.parse({plan!r}), la.read(folder / "in.jsonl"),
    folder / "out.jsonl", {{"lm": la.FakeBackend(latency=float(sys.argv[2]), window=4)}}),
    notice=lambda said: print(said, flush=True))
print(summary, summary.interrupted, flush=True)
"""


def child(folder: Path, *, latency: float) -> subprocess.Popen[str]:
    """A run in a process of its own; what it says goes to `said`."""
    if not (folder / "in.jsonl").exists():
        texts_file(folder)
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-c", CHILD.format(plan=PLAN), str(folder), str(latency)],
            stdout=said,
            text=True,
        )


def wait_for(path: Path, *, size: int = 0) -> None:
    for _ in range(1000):
        if path.exists() and path.stat().st_size >= size:
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


@pytest.mark.parametrize("size", [1, 800, 3000])
def test_kill_nine_loses_nothing(tmp_path: Path, size: int) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    assert child(whole, latency=0.0).wait() == 0
    started = child(tmp_path, latency=0.02)
    wait_for(tmp_path / "out.jsonl.run" / "output.jsonl", size=size)
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert not (tmp_path / "out.jsonl").exists()
    summary: Summary = la.augment_file(job(tmp_path, backend=FakeBackend(window=4)))
    assert (summary.done, summary.failed) == (20, 0)
    assert (tmp_path / "out.jsonl").read_bytes() == (whole / "out.jsonl").read_bytes()
    rows = [line["row"] for line in lines(summary.run / "output.jsonl")]
    assert sorted(rows) == list(range(20))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_finishes_what_is_in_flight(tmp_path: Path, number: int) -> None:
    started = child(tmp_path, latency=0.1)
    wait_for(tmp_path / "out.jsonl.run" / "output.jsonl", size=1)
    started.send_signal(number)
    started.wait(timeout=20)
    said = (tmp_path / "said").read_text()
    assert "finishing the rows in flight" in said
    assert said.strip().endswith("True")
    finished = len(lines(tmp_path / "out.jsonl.run" / "output.jsonl"))
    assert 0 < finished < 20
    assert not (tmp_path / "out.jsonl").exists()
    assert la.augment_file(job(tmp_path, backend=FakeBackend(window=4))).done == 20


def test_an_interruption_with_nothing_left_over_ends_as_usual(tmp_path: Path) -> None:
    texts_file(tmp_path, 4)
    started = child(tmp_path, latency=0.5)
    wait_for(tmp_path / "out.jsonl.run" / "lock")
    time.sleep(0.3)
    started.send_signal(signal.SIGINT)
    started.wait(timeout=20)
    assert (tmp_path / "said").read_text().strip().endswith("4 rows in = 4 done + 0 failed False")
    assert (tmp_path / "out.jsonl").exists()


def test_a_full_disk_ends_in_one_line_and_loses_nothing_finished(tmp_path: Path) -> None:
    source = texts_file(tmp_path, 2000)
    code = f"""
import resource, signal, sys
import llmaug as la
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
try:
    la.augment_file(la.Job(la.parse({PLAN!r}), la.read({str(source)!r}),
                    __import__("pathlib").Path({str(tmp_path / "out.jsonl")!r}),
                    {{"lm": la.FakeBackend()}}), cache={str(tmp_path / "elsewhere.sqlite")!r})
except la.LlmaugError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("OutputError"), done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    journal = tmp_path / "out.jsonl.run" / "output.jsonl"
    assert journal.read_bytes().endswith(b"\n")
    assert not (tmp_path / "out.jsonl").exists()
    assert la.augment_file(job(tmp_path)).done == 2000


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl.gz", "jsonl.zst", "beir", "hf"])
def test_every_output_format_holds_every_text(tmp_path: Path, ending: str) -> None:
    asked = job(tmp_path)
    asked.output = tmp_path / f"out.{ending}"
    summary = la.augment_file(asked)
    made = list(la.read(asked.output))
    assert len(made) == summary.tally.texts
    assert {text.id for text in made} >= {f"r{i}" for i in range(20)}


def test_no_key_reaches_a_file(tmp_path: Path) -> None:
    canary = "sk-canary-1234567890"
    from llmaug.testing import MisbehavingServer

    with MisbehavingServer(key=canary).in_thread() as server:
        os.environ["LLMAUG_API_KEY"] = canary
        try:
            backend = la.backend("chat:test-model", base_url=server.url)
            summary = la.augment_file(job(tmp_path, backend=backend))
        finally:
            del os.environ["LLMAUG_API_KEY"]
    assert summary.done == 20
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path
