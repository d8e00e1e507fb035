"""The main job on vLLM, in process and served: killed once, resumed, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmaug as la
from llmaug import models

pytestmark = pytest.mark.models
TESTS = Path(__file__).parent.parent
REVIEWS = TESTS.parent / "llmaug" / "demo" / "reviews.jsonl"
ROWS = 32


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real `vllm serve` with SmolLM2."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        str(Path(__file__).with_name("serve.py")),
        "serve",
        str(models.where("smollm2-135m")),
        "--served-model-name",
        "smollm2",
        "--dtype",
        "bfloat16",
        "--max-model-len",
        "1024",
        "--enforce-eager",
        # vLLM 0.32 on a CPU dies of a seeded request whose prompt is read in parts.
        "--no-enable-chunked-prefill",
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
    ]
    log = tmp_path_factory.mktemp("served") / "log"
    with log.open("wb") as said:
        server = subprocess.Popen(command, start_new_session=True, stdout=said, stderr=said)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            assert server.poll() is None, log.read_text()[-3000:]
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=1):
                    break
            except OSError:
                time.sleep(1)
        else:
            raise AssertionError("vllm serve did not answer within four minutes")
        yield f"{url}/v1"
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def started(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """`llmaug augment` on the first reviews, four requests at once, in a process group."""
    llmaug = shutil.which("llmaug", path=str(Path(sys.executable).parent))
    assert llmaug
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            [
                llmaug,
                "augment",
                f"@{TESTS / 'main_job.plan'}",
                str(REVIEWS),
                "-o",
                str(folder / "out.jsonl"),
                "--limit",
                str(ROWS),
                "--window",
                "4",
                *options,
            ],
            start_new_session=True,
            stdout=said,
            stderr=said,
        )


def check_killed_and_resumed(folder: Path, *options: str) -> None:
    journal = folder / "out.jsonl.run" / "output.jsonl"
    first = started(folder, *options)
    for _ in range(1800):
        if first.poll() is not None or (journal.exists() and journal.stat().st_size):
            break
        time.sleep(0.1)
    assert first.poll() is None, (folder / "said").read_text()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    finished = len(journal.read_bytes().splitlines())
    assert 0 < finished < ROWS
    assert not (folder / "out.jsonl").exists()

    assert started(folder, *options).wait(300) == 0, (folder / "said").read_text()
    said = (folder / "said").read_text()
    assert f"{ROWS} rows in = {ROWS} done + 0 failed" in said
    rows = [json.loads(line)["row"] for line in journal.read_text().splitlines()]
    assert sorted(rows) == list(range(ROWS))
    texts = list(la.read(folder / "out.jsonl"))
    originals = [text for text in texts if not text.meta["made_by"]]
    assert len(originals) == ROWS
    assert len(texts) > ROWS * 1.2  # the rest were cut off at 48 tokens


def test_in_process(tmp_path: Path) -> None:
    check_killed_and_resumed(tmp_path, "--lm", "vllm:smollm2-135m")


def test_served(tmp_path: Path, served: str) -> None:
    check_killed_and_resumed(tmp_path, "--lm", "chat:smollm2", "--base-url", served)
