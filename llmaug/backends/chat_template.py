"""A model's chat template, with corpus text kept from becoming control tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from llmaug.control_tokens import BREAK
from llmaug.errors import BackendStopped, RequestRefused
from llmaug.request import Message


class ChatTemplate:
    """Turns messages into the token ids that a chat model was trained on.

    Messages hold text that nobody has looked at. A tokenizer reads `<|im_start|>system` in such a
    text as the beginning of a new turn, so its control tokens are broken up before they reach it:
    a zero-width space goes behind the first character of each.
    """

    def __init__(self, tokenizer: Any, *, model: str) -> None:
        if not tokenizer.chat_template:
            raise BackendStopped(
                f"{model} has no chat template, so it cannot be asked in "
                "messages; use an instruction-tuned model"
            )
        self.tokenizer = tokenizer
        self.control = control_tokens(tokenizer)
        # Any text may become the token for unknown words, so its number proves nothing.
        self._telling = frozenset(self.control.values()) - {tokenizer.unk_token_id}
        self._breaking = _breaking(self.control)

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's token ids, up to where the model's reply begins.

        Raises `RequestRefused` for messages that the template does not accept.
        """
        from jinja2 import TemplateError

        turns = [{"role": role, "content": self.neutral(content)} for role, content in messages]
        try:
            ids = self.tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
        except TemplateError as error:
            roles = ", ".join(turn["role"] for turn in turns)
            raise RequestRefused(
                f"the model's chat template does not accept messages of {roles}: {error}"
            ) from None
        return list(ids)

    def neutral(self, text: str) -> str:
        """The same text to a reader, without any control token to the tokenizer."""
        if self._breaking is None:
            return text
        text = self._breaking.sub(rf"\g<0>{BREAK}", text)
        # A tokenizer that normalises text first may still find one (full-width letters, …).
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if not self._telling.isdisjoint(ids):
            raise RequestRefused(
                "the text holds a control token of the model that cannot be "
                "neutralised; remove it from the text"
            )
        return text


def control_tokens(tokenizer: Any) -> dict[str, int]:
    """The tokens by which a model tells turns apart: special ones, and those its template writes.

    Other added tokens (runs of spaces, HTML tags) are ordinary text.
    """
    found = {}
    for number, token in tokenizer.added_tokens_decoder.items():
        special = token.special or token.content in tokenizer.chat_template
        if special and len(token.content.strip()) > 1:
            found[token.content] = number
    return found


def _breaking(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """Matches the first character wherever a token begins, also inside another one."""
    alternatives = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
    return re.compile(f"(?=(?:{alternatives})).", re.DOTALL) if alternatives else None
