"""One prompt file: load it, list its inputs, render it for a text, parse a reply.

The format is Prompty's: YAML front matter, then `system:`, `user:` and `assistant:` role lines
with Jinja2 between them. Roles are split before rendering, so that no text can forge one, and
control tokens of chat models that stand in a text are made harmless before they are sent.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmaug import prompt_file
from llmaug.control_tokens import harmless
from llmaug.errors import PromptError, did_you_mean
from llmaug.prompt_file import Input
from llmaug.request import Message, Sampling
from llmaug.templates import Filled

LONGEST_RENDERED = 512_000


@dataclass(frozen=True)
class Rendered:
    """A prompt filled in for one text; `neutralised` says that it held control tokens."""

    messages: tuple[Message, ...]
    neutralised: bool = False


@dataclass(frozen=True)
class Prompt:
    """A prompt file, checked and compiled."""

    name: str
    path: str
    description: str
    version: str
    source: str
    inputs: Mapping[str, Input]
    sampling: Sampling
    output: str
    segments: tuple[tuple[str, str], ...]  # (role, template), in order
    fingerprint: str
    text: str
    # A turn without variables is its message already.
    turns: tuple[Message | tuple[str, Filled], ...] = field(repr=False, compare=False)

    @property
    def needs(self) -> frozenset[str]:
        """The fields beside the text itself that every input must have."""
        return frozenset(
            i.name
            for i in self.inputs.values()
            if not i.fixed and i.default is None and i.name != "text"
        )

    def render(self, values: Mapping[str, Any]) -> Rendered:
        """The messages for these values; `PromptError` names an input that is missing."""
        clean: dict[str, Any] = {}
        found = False
        for name, declared in self.inputs.items():
            value = values.get(name)
            if value is None:
                value = declared.default
            if value is None:
                raise PromptError(
                    f"prompt {self.name}: the input {name!r} is missing; "
                    f"give it, or set a default in {self.path}"
                )
            clean[name], had = harmless(value)
            found = found or had
        messages = tuple(
            turn if isinstance(turn, Message) else Message(turn[0], turn[1](clean))
            for turn in self.turns
        )
        if sum(len(message.content) for message in messages) > LONGEST_RENDERED:
            raise PromptError(
                f"prompt {self.name}: longer than {LONGEST_RENDERED:,} characters with this text"
            )
        return Rendered(messages, found)


def shipped() -> list[str]:
    """The names of the prompts that come with llmaug."""
    folder = importlib.resources.files("llmaug.prompts")
    return sorted(
        f.name.removesuffix(".prompty") for f in folder.iterdir() if f.name.endswith(".prompty")
    )


def load(name: str) -> Prompt:
    """A shipped prompt by name, or a prompt file by path (`./mine.prompty`).

    Raises `PromptError`, with close matches for an unknown name.
    """
    if not isinstance(name, str):
        raise PromptError(f"a prompt is named by a string, not by {name!r}")
    if name.endswith(".prompty") or "/" in name:
        try:
            state = Path(name).stat()
        except OSError:
            raise PromptError(
                f"no prompt file {name}; shipped prompts: {', '.join(shipped())}"
            ) from None
        return _load_file(name, state.st_mtime_ns, state.st_size)
    return _load_shipped(name)


@functools.lru_cache(maxsize=256)
def _load_file(name: str, mtime: int, size: int) -> Prompt:
    """A prompt file, read again when it has changed."""
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise PromptError(f"the prompt file {name} cannot be read: {error.strerror}") from None
    return _read(content, Path(name).stem, name)


@functools.cache
def _load_shipped(name: str) -> Prompt:
    if not re.fullmatch(r"[a-z0-9_]{1,60}", name) or name not in shipped():
        raise PromptError(
            f"unknown prompt {name!r}; {did_you_mean(name, shipped())} "
            "(a file of your own is written as ./name.prompty)"
        )
    content = (importlib.resources.files("llmaug.prompts") / f"{name}.prompty").read_bytes()
    return _read(content, name, f"prompts/{name}.prompty")


def _read(content: bytes, name: str, where: str) -> Prompt:
    text, front, body = prompt_file.parts(content, where)
    segments = prompt_file.role_segments(body, where)
    inputs = prompt_file.declared_inputs(front.get("inputs") or {}, where)
    canonical = "\n".join(line.rstrip() for line in text.strip().split("\n"))
    return Prompt(
        name=str(front.get("name", name)),
        path=where,
        text=text,
        description=str(front.get("description", "")).strip(),
        version=str(front.get("version", "1")),
        source=str(front.get("source", "")).strip(),
        inputs=inputs,
        output=front["output"],
        segments=segments,
        turns=tuple(
            prompt_file.fillable(role, template, inputs, where) for role, template in segments
        ),
        sampling=prompt_file.declared_sampling(front, front["output"], where),
        fingerprint=hashlib.sha256(canonical.encode()).hexdigest()[:12],
    )
