"""Kill an augmentation with SIGKILL at random moments, resume it, and count what was lost.

    python -m benchmarks.crash [--runs 50]

Each run augments 2,000 rows with two samples each against a fake model of 20 ms, which also
writes every request it is sent to a ledger of its own ("paid"). It is killed one to three times,
then resumed to its end; the output is compared byte for byte with that of a run that nobody
disturbed.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import llmaug as la
from llmaug.backends.fake import FakeBackend

ROWS, WINDOW = 2_000, 32


class Paid(FakeBackend):
    """A fake model that keeps a ledger of every request it was sent."""

    def __init__(self, ledger: Path) -> None:
        super().__init__(latency=0.02, window=WINDOW)
        self.ledger = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def complete(self, request: la.Request) -> la.Reply:
        os.write(self.ledger, f"{request.seed}\n".encode())  # a server bills what it was sent
        return await super().complete(request)


def child(folder: Path) -> None:
    job = la.Job(
        la.parse("keep() + paraphrase(n=2) >> dedupe()"),
        la.read(folder / "in.jsonl"),
        folder / "out.jsonl",
        {"lm": Paid(folder / "ledger")},
    )
    summary = la.augment_file(job)
    assert summary.rows == ROWS, summary


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.crash", "--child", str(folder)])


def prepare(folder: Path) -> None:
    folder.mkdir()
    with (folder / "in.jsonl").open("w") as lines:
        for i in range(ROWS):
            words = " ".join(f"word{(i * 7 + j * 13) % 101}" for j in range(12))
            lines.write(
                json.dumps({"id": f"r{i}", "text": f"row {i} {words}", "label": i % 3}) + "\n"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
        return
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        prepare(whole)
        began = time.monotonic()
        assert start(whole).wait() == 0
        seconds = time.monotonic() - began
        expected = (whole / "out.jsonl").read_bytes()
        kills = lost = duplicated = different = torn = 0
        twice: list[int] = []
        for number in range(arguments.runs):
            folder = Path(scratch) / f"run{number}"
            prepare(folder)
            here = 0
            for _ in range(rng.randint(1, 3)):
                process = start(folder)
                time.sleep(rng.uniform(0.25, 0.9) * seconds)
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                    here += 1
                process.wait()
                journal = folder / "out.jsonl.run" / "output.jsonl"
                torn += journal.exists() and not journal.read_bytes().endswith((b"\n", b""))
            assert start(folder).wait() == 0
            lines = [
                json.loads(line) for line in (folder / "out.jsonl.run" / "output.jsonl").open()
            ]
            rows = collections.Counter(line["row"] for line in lines)
            lost += ROWS - len(rows)
            duplicated += sum(rows.values()) - len(rows)
            different += (folder / "out.jsonl").read_bytes() != expected
            paid = collections.Counter((folder / "ledger").read_text().split())
            twice.append(sum(paid.values()) - len(paid))
            assert twice[-1] <= WINDOW * here, (twice[-1], here)
            kills += here
    print(
        f"{arguments.runs} runs, {kills} kills (whole run {seconds:.1f} s): {lost} rows lost, "
        f"{duplicated} duplicated, {different} outputs differ, paid twice per run: "
        f"median {sorted(twice)[len(twice) // 2]}, most {max(twice)} "
        f"(window {WINDOW} per kill)"
    )
    sys.exit(1 if lost or duplicated or different else 0)


if __name__ == "__main__":
    main()
