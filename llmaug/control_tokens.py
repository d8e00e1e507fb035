"""Control tokens of chat models in a text: broken on the way in, restored on the way out.

A tokenizer reads `<|im_start|>system` in a text as the beginning of a new turn. Backends that know
their tokenizer break its own tokens too; this catches the common ones for servers.
"""

from __future__ import annotations

import re
from typing import Any

# The control tokens of every common template: ChatML, Llama 2 to 4,
# Gemma, Mistral, DeepSeek, Phi, Qwen. A zero-width space behind the first character keeps the
# text readable and keeps a tokenizer from seeing the token.
CONTROL = re.compile(
    r"<\|[^\s<>|]{1,48}\|?>|<[a-z_]{2,24}\|>|\[gMASK\]|<[se]op>|\]~b\]|<｜[^\s<>｜]{1,48}｜>|</?(?:s|bos|eos|pad|unk|think|tool_call|"
    r"tool_response|start_of_turn|end_of_turn|start_of_image)>|\[/?(?:INST|SYSTEM_PROMPT|"
    r"AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS)\]|<</?SYS>>"
)
BREAK = "\u200b"


def neutralise(text: str) -> tuple[str, bool]:
    """A text without chat control tokens, and whether it held any."""
    if "<" not in text and "[" not in text:
        return text, False
    changed = CONTROL.sub(lambda token: token[0][0] + BREAK + token[0][1:], text)
    return changed, changed is not text and changed != text


def restore(text: str) -> str:
    """Undo `neutralise` in a reply that quotes its input."""
    if BREAK not in text:
        return text
    return re.sub(rf"([<\[]){BREAK}", r"\1", text)


def harmless(value: Any) -> tuple[Any, bool]:
    """A template value as plain strings, numbers and lists, without control tokens."""
    if isinstance(value, str):
        return neutralise(value)
    if isinstance(value, bool | int | float):
        return value, False
    if isinstance(value, list | tuple):
        pairs = [harmless(item) for item in value]
        return [item for item, _ in pairs], any(had for _, had in pairs)
    return neutralise(str(value))
