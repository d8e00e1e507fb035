"""Language models behind the one seam of `llmaug.request.Backend`."""

from __future__ import annotations

import inspect
from typing import Any

from llmaug.errors import BackendError, did_you_mean
from llmaug.request import Backend

KINDS = {
    "transformers": "transformers:NAME_OR_DIR  in this process, CPU or GPU (extra: transformers)",
    "vllm": "vllm:NAME_OR_DIR          in this process, vLLM's engine (extra: vllm)",
    "chat": "chat:MODEL                any OpenAI-compatible server, with base_url",
    "openai": "openai:MODEL              the OpenAI API; key from LLMAUG_API_KEY or OPENAI_API_KEY",
    "replay": "replay:FILE               replies recorded earlier",
    "fake": "fake:                     shuffled words, for trying things out",
}


def backend(spec: str, **options: Any) -> Backend:
    """The language model that a spec names: `transformers:smollm2-135m`, `chat:qwen3-8b`, …

    `options` go to the backend (`base_url`, `window`, …); one that it does not take raises
    `BackendError`, as does an unknown kind, with close matches.
    """
    kind, colon, name = spec.partition(":")
    if kind not in KINDS or not colon:
        raise BackendError(
            f"unknown language model {spec!r}; {did_you_mean(kind, KINDS)} (written as KIND:NAME)"
        )
    if not name and kind != "fake":
        raise BackendError(f"{spec!r} names no model; write {KINDS[kind].split()[0]}")
    make = _maker(kind)
    accepted = inspect.signature(make).parameters
    for option in options:
        if option not in accepted:
            raise BackendError(
                f"{kind} has no option {option!r}; "
                + did_you_mean(option, set(accepted) - {"model", "path"})
            )
    made: Backend = make(**options) if kind == "fake" else make(name, **options)
    return made


def _maker(kind: str) -> Any:
    # Imported here so that one backend's dependencies are not needed for another.
    if kind == "transformers":
        from llmaug.backends.transformers import TransformersBackend

        return TransformersBackend
    if kind == "vllm":
        from llmaug.backends.vllm import VllmBackend

        return VllmBackend
    if kind in ("chat", "openai"):
        from llmaug.backends.chat import ChatBackend, openai

        return ChatBackend if kind == "chat" else openai
    if kind == "replay":
        from llmaug.backends.replay import ReplayBackend

        return ReplayBackend
    from llmaug.backends.fake import FakeBackend

    return FakeBackend
