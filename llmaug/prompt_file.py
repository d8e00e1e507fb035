"""The format of a prompt file: front matter, role lines, inputs and parameters, each checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
}
PARAMETERS = {"temperature", "top_p", "max_tokens", "stop"}
LONGEST_FILE = 64_000


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


def parts(content: bytes, where: str) -> tuple[str, dict[str, Any], str]:
    """A file's whole text, its front matter and its body; `PromptError` says what is wrong."""
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
    if front.setdefault("output", "text") not in OUTPUTS:
        raise PromptError(
            f"{where}: output {front['output']!r}; {did_you_mean(str(front['output']), OUTPUTS)}"
        )
    return text, front, match[2]


def role_segments(body: str, where: str) -> tuple[tuple[str, str], ...]:
    """The body's turns: before anything is rendered, so a text can never open a new one."""
    pieces = re.split(rf"^({'|'.join(ROLES)}):[ \t]*$", body, flags=re.MULTILINE)
    if pieces[0].strip():
        raise PromptError(f"{where}: the body must begin with a role line such as 'user:'")
    segments = tuple((pieces[i], pieces[i + 1].strip()) for i in range(1, len(pieces), 2))
    if not any(role == "user" for role, _ in segments):
        raise PromptError(f"{where}: there is no 'user:' turn")
    return segments


def fillable(
    role: str, template: str, inputs: Mapping[str, Input], where: str
) -> Message | tuple[str, Filled]:
    filled = compile_template(template, inputs, where)
    if "{{" in template or "{%" in template or "{#" in template:
        return role, filled
    return Message(role, template)


def declared_inputs(declared: Any, where: str) -> dict[str, Input]:
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


def declared_sampling(front: Mapping[str, Any], output: str, where: str) -> Sampling:
    model = front.get("model") or {}
    parameters = model.get("parameters") or {} if isinstance(model, dict) else None
    if not isinstance(parameters, dict):
        raise PromptError(f"{where}: model must be a mapping with parameters, itself a mapping")
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
    for name, least, most in (("temperature", 0, 10), ("top_p", 0, 1), ("max_tokens", 1, 10**6)):
        value = parameters.get(name, 1)
        whole = isinstance(value, int) if name == "max_tokens" else isinstance(value, int | float)
        if not whole or isinstance(value, bool) or not least <= value <= most:
            raise PromptError(
                f"{where}: {name} must be a number from {least} to {most:,}, not {value!r}"
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
