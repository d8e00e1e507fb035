"""Orchestration: rows/s of `llmaug augment` beside a bare aiohttp loop on the same server.

    python -m benchmarks.orchestrator [--rows 20000] [--window 256] [--repeats 5]

A local OpenAI-style server answers every request after a fixed 20 ms. Both sides send the same
messages with the same number of requests in flight; ours also reads the input, renders the
prompt, caches every reply on disk and writes a durable line for every row. Runs alternate; the
figure is the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

import llmaug as la
from llmaug import prompt


async def bare(url: str, texts: list[str], window: int) -> None:
    """What a person would write by hand: a shared iterator and `window` workers."""
    loaded = prompt.load("paraphrase")
    source = iter(texts)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            for text in source:
                messages = [m._asdict() for m in loaded.render({"text": text}).messages]
                body = {
                    "model": "test-model",
                    "messages": messages,
                    "temperature": 0.7,
                    "top_p": 0.95,
                    "max_tokens": 256,
                    "seed": 1,
                }
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    reply = await response.json()
                    assert reply["choices"][0]["message"]["content"] is not None

        await asyncio.gather(*(worker() for _ in range(window)))


def ours(url: str, source: Path, output: Path, window: int) -> la.batch.Summary:  # type: ignore
    lm = la.backend("chat:test-model", base_url=url)
    return la.augment_file(
        la.Job(la.parse("paraphrase()"), la.read(source), output, {"lm": lm}), window=window
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.02)
    arguments = parser.parse_args()
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "llmaug.testserver",
            "--latency",
            str(arguments.latency),
            "--port",
            "0",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    texts = [
        f"this is review number {i} of a product that works well enough but came in a torn box"
        for i in range(arguments.rows)
    ]
    ratios, rates = [], {"bare": [], "llmaug": []}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "in.jsonl"
            with source.open("w") as lines:
                for i, text in enumerate(texts):
                    lines.write(json.dumps({"id": f"r{i}", "text": text}) + "\n")
            for repeat in range(arguments.repeats):
                began = time.monotonic()
                asyncio.run(bare(url, texts, arguments.window))
                rates["bare"].append(arguments.rows / (time.monotonic() - began))
                began = time.monotonic()
                summary = ours(url, source, Path(scratch) / f"out{repeat}.jsonl", arguments.window)
                rates["llmaug"].append(arguments.rows / (time.monotonic() - began))
                assert summary.done == arguments.rows, summary
                ratios.append(rates["llmaug"][-1] / rates["bare"][-1])
                print(
                    f"bare {rates['bare'][-1]:,.0f}  llmaug {rates['llmaug'][-1]:,.0f} rows/s  "
                    f"ratio {ratios[-1]:.2f}",
                    flush=True,
                )
    finally:
        server.terminate()
        server.wait()
    print(
        f"median: bare {statistics.median(rates['bare']):,.0f}, llmaug "
        f"{statistics.median(rates['llmaug']):,.0f} rows/s, ratio "
        f"{statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
