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

from llmaug.control_tokens import harmless
from llmaug.errors import PromptError, did_you_mean
from llmaug.request import Message, Sampling
from llmaug.templates import Filled, compile_template

OUTPUTS = ("text", "lines", "json", "label")
ROLES = ("system", "user", "assistant")
FIELDS = {
    "name",
    "description",
    "version",
    "authors",
    "source",
    "tags",
    "model",
    "inputs",
    "output",
    "schema",
    "sample",
}
PARAMETERS = {"temperature", "top_p", "max_tokens", "stop"}
LONGEST_FILE = 64_000
LONGEST_RENDERED = 512_000


@dataclass(frozen=True)
class Input:
    """A name that a prompt's template uses.

    `fixed` inputs are the same for every text of a run (a language, examples) and may stand
    before the text without spoiling prefix caches; the others are fields of the text.
    """

    name: str
    description: str = ""
    fixed: bool = False
    default: Any = None


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


@functools.lru_cache(maxsize=256)
def load(name: str) -> Prompt:
    """A shipped prompt by name, or a prompt file by path (`./mine.prompty`).

    Raises `PromptError`, with close matches for an unknown name.
    """
    if name.endswith(".prompty") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise PromptError(f"no prompt file {name}; shipped prompts: {', '.join(shipped())}")
        return _read(path.read_bytes(), path.stem, name)
    if not re.fullmatch(r"[a-z0-9_]{1,60}", name) or name not in shipped():
        raise PromptError(
            f"unknown prompt {name!r}; {did_you_mean(name, shipped())} "
            "(a file of your own is written as ./name.prompty)"
        )
    content = (importlib.resources.files("llmaug.prompts") / f"{name}.prompty").read_bytes()
    return _read(content, name, f"prompts/{name}.prompty")


def _read(content: bytes, name: str, where: str) -> Prompt:
    import yaml

    try:
        text = content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise PromptError(f"{where}: not UTF-8 ({error.reason} at byte {error.start})") from None
    if len(text) > LONGEST_FILE:
        raise PromptError(f"{where}: longer than {LONGEST_FILE:,} characters")
    match = re.fullmatch(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL)
    if not match:
        raise PromptError(f"{where}: must begin with YAML front matter between two lines '---'")
    try:
        front = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        raise PromptError(
            f"{where}: the front matter is not YAML: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(front, dict):
        raise PromptError(f"{where}: the front matter must be a mapping")
    for key in front:
        if key not in FIELDS:
            raise PromptError(f"{where}: unknown field {key!r}; {did_you_mean(str(key), FIELDS)}")
    segments = _split_roles(match[2], where)
    inputs = _inputs(front.get("inputs") or {}, where)
    turns = tuple(_turn(role, template, inputs, where) for role, template in segments)
    output = front.get("output", "text")
    if output not in OUTPUTS:
        raise PromptError(f"{where}: output {output!r}; {did_you_mean(str(output), OUTPUTS)}")
    canonical = "\n".join(line.rstrip() for line in text.strip().split("\n"))
    return Prompt(
        name=str(front.get("name", name)),
        path=where,
        text=text,
        description=str(front.get("description", "")).strip(),
        version=str(front.get("version", "1")),
        source=str(front.get("source", "")).strip(),
        inputs=inputs,
        output=output,
        segments=segments,
        turns=turns,
        sampling=_sampling(front, output, where),
        fingerprint=hashlib.sha256(canonical.encode()).hexdigest()[:12],
    )


def _split_roles(body: str, where: str) -> tuple[tuple[str, str], ...]:
    """The body's turns: before anything is rendered, so a text can never open a new one."""
    pieces = re.split(rf"^({'|'.join(ROLES)}):[ \t]*$", body, flags=re.MULTILINE)
    if pieces[0].strip():
        raise PromptError(f"{where}: the body must begin with a role line such as 'user:'")
    segments = tuple((pieces[i], pieces[i + 1].strip()) for i in range(1, len(pieces), 2))
    if not any(role == "user" for role, _ in segments):
        raise PromptError(f"{where}: there is no 'user:' turn")
    return segments


def _turn(
    role: str, template: str, inputs: Mapping[str, Input], where: str
) -> Message | tuple[str, Filled]:
    filled = compile_template(template, inputs, where)
    if "{{" in template or "{%" in template or "{#" in template:
        return role, filled
    return Message(role, template)


def _inputs(declared: Any, where: str) -> dict[str, Input]:
    if not isinstance(declared, dict):
        raise PromptError(f"{where}: inputs must be a mapping of name to description")
    inputs = {}
    for name, value in declared.items():
        options = value if isinstance(value, dict) else {"description": value or ""}
        for key in options:
            if key not in {"description", "fixed", "default"}:
                raise PromptError(
                    f"{where}: input {name!r} has an unknown field {key!r}; "
                    + did_you_mean(str(key), {"description", "fixed", "default"})
                )
        inputs[str(name)] = Input(
            str(name),
            str(options.get("description", "")),
            bool(options.get("fixed", False)),
            options.get("default"),
        )
    return inputs


def _sampling(front: Mapping[str, Any], output: str, where: str) -> Sampling:
    parameters = (front.get("model") or {}).get("parameters") or {}
    for key in parameters:
        if key not in PARAMETERS:
            raise PromptError(
                f"{where}: unknown model parameter {key!r}; " + did_you_mean(str(key), PARAMETERS)
            )
    if "max_tokens" not in parameters:
        raise PromptError(
            f"{where}: model.parameters.max_tokens is missing; without it some "
            "engines stop after 16 tokens and others never"
        )
    stop = parameters.get("stop") or ()
    schema = front.get("schema")
    if schema is not None and output != "json":
        raise PromptError(f"{where}: a schema needs output: json")
    return Sampling(
        temperature=float(parameters.get("temperature", 0.7)),
        top_p=float(parameters.get("top_p", 1.0)),
        max_tokens=int(parameters["max_tokens"]),
        stop=(stop,) if isinstance(stop, str) else tuple(map(str, stop)),
        schema=schema,
    )
