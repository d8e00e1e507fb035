"""One batch of prompts through a transformers model, every row with its own limits.

Loaded together with torch, when a model is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteriaList,
)
from transformers.utils import logging

from llmaug.backends.chat_template import ChatTemplate
from llmaug.backends.sampling import RowSampler
from llmaug.errors import BackendError, ModelError
from llmaug.request import Reply, Request

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class OutOfMemory(Exception):
    """The accelerator has no room for this batch."""


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt of a batch. `abandoned` says, at any time, that nobody waits for the reply."""

    request: Request
    tokens: list[int]
    abandoned: Callable[[], bool]


class Loaded(NamedTuple):
    """A model in memory. `context` is the most tokens of prompt and reply, if there is a limit."""

    model: Any
    tokenizer: Any
    template: ChatTemplate
    context: int | None
    ends: list[int]  # tokens that end a reply
    pad: int


def chosen_device(wish: str | None) -> str:
    """The device asked for, else a GPU where there is one."""
    return wish or ("cuda" if torch.cuda.is_available() else "cpu")


def chosen_dtype(wish: str | None, device: str) -> str:
    """The number format asked for, else the fastest that the device computes in by itself."""
    if wish is not None:
        if wish not in DTYPES:
            raise BackendError(f"unknown dtype {wish!r}; known: {', '.join(DTYPES)}")
        return wish
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    able = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    # Where a CPU only imitates bfloat16 it is slower than float32.
    if device == "cpu" and any(getattr(torch.cpu, name, bool)() for name in able):
        return "bfloat16"
    return "float32"


def load(folder: Path, *, device: str, dtype: str) -> Loaded:
    """Read a model and its tokenizer into memory; raises `ModelError` when that fails."""
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            model = (
                AutoModelForCausalLM.from_pretrained(
                    folder, dtype=DTYPES[dtype], use_safetensors=True, **local
                )
                .to(device)
                .eval()
            )
    except Exception as error:  # a folder can be wrong in every way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"cannot load the model in {folder}: {reason}") from error
    template = ChatTemplate(tokenizer, model=str(folder))
    settings = model.config.get_text_config()
    ends = _end_tokens(model, tokenizer)
    pad = next((t for t in (tokenizer.pad_token_id, *ends) if t is not None), 0)
    # Only the request decides how a reply is drawn, not the settings that came with the model.
    model.generation_config = GenerationConfig(eos_token_id=ends or None, pad_token_id=pad)
    return Loaded(
        model, tokenizer, template, getattr(settings, "max_position_embeddings", None), ends, pad
    )


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    numbers = own if isinstance(own, list) else [own]
    return sorted({n for n in (*numbers, tokenizer.eos_token_id) if n is not None})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars and remarks off the terminal, and put its settings back."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def answer(loaded: Loaded, rows: Sequence[Row]) -> list[Reply]:
    """The replies to a batch of prompts, in order; raises `OutOfMemory` when it is too large."""
    try:
        return _answer(loaded, rows)
    except torch.OutOfMemoryError:
        pass  # outside of the handler nothing refers to the tensors of the failed try
    torch.cuda.empty_cache()
    raise OutOfMemory


def _answer(loaded: Loaded, rows: Sequence[Row]) -> list[Reply]:
    device = loaded.model.device
    longest = max(len(row.tokens) for row in rows)
    # Padding goes to the left: the reply continues from the last column.
    ids = torch.tensor([[loaded.pad] * (longest - len(row.tokens)) + row.tokens for row in rows])
    mask = torch.tensor([[0] * (longest - len(row.tokens)) + [1] * len(row.tokens) for row in rows])
    stops = RowStops(loaded.tokenizer, rows, prompt_length=longest, device=device)
    sampler = RowSampler([row.request for row in rows], device=device)
    config = GenerationConfig(
        max_new_tokens=max(row.request.sampling.max_tokens for row in rows),
        do_sample=False,
        eos_token_id=loaded.ends or None,
        pad_token_id=loaded.pad,
    )
    with torch.inference_mode():
        output = loaded.model.generate(
            ids.to(device),
            attention_mask=mask.to(device),
            generation_config=config,
            logits_processor=LogitsProcessorList([sampler]),
            stopping_criteria=StoppingCriteriaList([stops]),
        )
    replies = output[:, longest:].tolist()
    return [
        _reply(loaded, row, tokens[: stops.ended.get(i)])
        for i, (row, tokens) in enumerate(zip(rows, replies, strict=True))
    ]


class RowStops:
    """A stopping criterion with a limit of tokens and stop strings for each row.

    `ended` holds the number of tokens of the rows that a stop string ended.
    """

    def __init__(
        self, tokenizer: Any, rows: Sequence[Row], *, prompt_length: int, device: Any
    ) -> None:
        self.tokenizer, self.rows, self.prompt_length = tokenizer, rows, prompt_length
        self.limits = torch.tensor([row.request.sampling.max_tokens for row in rows], device=device)
        self.ended: dict[int, int] = {}
        # A token holds at least one byte, so this many hold every stop string that just ended.
        self.tails = {
            i: 2 + max(len(stop.encode()) for stop in row.request.sampling.stop)
            for i, row in enumerate(rows)
            if row.request.sampling.stop
        }

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        length = input_ids.shape[1] - self.prompt_length
        done = self.limits <= length
        for i, row in enumerate(self.rows):
            if row.abandoned():
                done[i] = True
        if self.tails:
            recent = input_ids[:, self.prompt_length :][:, -max(self.tails.values()) :].tolist()
            for i, size in list(self.tails.items()):
                text = self.tokenizer.decode(recent[i][-size:], skip_special_tokens=True)
                if any(stop in text for stop in self.rows[i].request.sampling.stop):
                    done[i] = True
                    self.ended[i] = length
                    del self.tails[i]
        return done


def _reply(loaded: Loaded, row: Row, tokens: list[int]) -> Reply:
    sampling = row.request.sampling
    tokens = tokens[: sampling.max_tokens]
    end = next((i for i, token in enumerate(tokens) if token in loaded.ends), None)
    count = len(tokens) if end is None else end + 1
    text: str = loaded.tokenizer.decode(
        tokens[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    found = [place for stop in sampling.stop if (place := text.find(stop)) >= 0]
    if found:
        text = text[: min(found)]
    return Reply(text, "stop" if found or end is not None else "length", len(row.tokens), count)
