"""Peak memory and rate of the engine alone: a fake model of 0 ms, one core.

python -m benchmarks.memory [--rows 100000 1000000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import llmaug as la


def child(source: Path, output: Path) -> None:
    import resource

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    began = time.monotonic()
    summary = la.augment_file(
        la.Job(
            la.parse("keep() + paraphrase() >> dedupe()"),
            la.read(source),
            output,
            {"lm": la.FakeBackend(window=256)},
        )
    )
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{summary.rows:,} rows: {summary.rows / seconds:,.0f} rows/s with the final write, "
        f"peak {peak:,.0f} MB ({summary})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--child", type=Path, nargs=2)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "in.jsonl"
            with source.open("w") as lines:
                for i in range(rows):
                    lines.write(
                        json.dumps(
                            {
                                "id": f"r{i}",
                                "label": i % 2,
                                "text": f"this is review number {i} of a product that works "
                                "well enough but came in a torn box",
                            }
                        )
                        + "\n"
                    )
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "benchmarks.memory",
                    "--child",
                    str(source),
                    str(Path(scratch) / "out.jsonl"),
                ],
                check=True,
            )


if __name__ == "__main__":
    main()
