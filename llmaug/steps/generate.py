"""`generate`: variants that a language model writes from a prompt."""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any

from llmaug import prompt as prompts
from llmaug.control_tokens import restore
from llmaug.errors import PlanError, ReplyError, did_you_mean
from llmaug.plan import Context, Step
from llmaug.reply import parse_reply
from llmaug.request import Reply, Request, Sampling
from llmaug.text import Text, read

MOST_ATTEMPTS = 3  # draws of one sample before a reply that never fits is given up


@dataclass(frozen=True, repr=False)
class Generate(Step):
    """`n` variants of each text, written by the model `role` from a prompt.

    `prompt` is a shipped name or a file (`./mine.prompty`); `temperature`, `top_p` and
    `max_tokens` replace the file's own; `inputs` gives its fixed inputs and `examples` a file
    of texts, of which `k` (chosen by the run's seed, the same for every row) become its input
    `examples`.

    A reply that does not fit the prompt's `output` is asked again with a new sample, at most
    three times; then that sample is dropped as "unfit reply", and when no sample of a text fits
    the row fails. A reply that was cut off carries the field `finish` = "length".
    """

    prompt: str
    _: KW_ONLY
    n: int = 1
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    examples: str | None = None
    k: int = 8
    labels: tuple[str, ...] = ()
    role: str = "lm"

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def needs(self) -> frozenset[str]:
        return self.ready[0].needs - set(self.inputs)

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({self.role})

    def check(self) -> None:
        prompt = prompts.load(self.prompt)
        for name, value, least, most in (("n", self.n, 1, 10_000), ("k", self.k, 1, 1_000)):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise PlanError(f"{self}: {name} must be a whole number from {least} to {most:,}")
        for name, number, most in (("temperature", self.temperature, 10), ("top_p", self.top_p, 1)):
            if number is not None and not (isinstance(number, int | float) and 0 <= number <= most):
                raise PlanError(f"{self}: {name} must be a number from 0 to {most}")
        if self.max_tokens is not None and not (
            isinstance(self.max_tokens, int) and self.max_tokens > 0
        ):
            raise PlanError(f"{self}: max_tokens must be a whole number above 0")
        if not isinstance(self.inputs, Mapping):
            raise PlanError(f"{self}: inputs must be like {{'language': 'French'}}")
        if not isinstance(self.labels, tuple) or not all(isinstance(s, str) for s in self.labels):
            raise PlanError(f"{self}: labels must be a list of strings")
        for name in self.inputs:
            if name not in prompt.inputs or name == "text":
                raise PlanError(
                    f"{self}: prompt {self.prompt!r} has no input {name!r}; "
                    + did_you_mean(name, set(prompt.inputs) - {"text"})
                )
        given = set(self.inputs) | ({"examples"} if self.examples else set())
        for declared in prompt.inputs.values():
            if declared.fixed and declared.default is None and declared.name not in given:
                raise PlanError(
                    f"{self}: prompt {self.prompt!r} needs the input "
                    f"{declared.name!r}; give inputs={{{declared.name!r}: …}}"
                )
        if self.examples is not None:
            if not isinstance(self.examples, str):
                raise PlanError(f"{self}: examples must be the name of a file")
            if "examples" not in prompt.inputs:
                raise PlanError(f"{self}: prompt {self.prompt!r} shows no examples")
            chosen_examples(self.examples, self.k, 0)
        if prompt.output == "label" and not self.labels:
            raise PlanError(f"{self}: prompt {self.prompt!r} answers with a label; give labels=[…]")

    def fingerprints(self) -> Mapping[str, str]:
        marks = {f"prompt:{self.prompt}": self.ready[0].fingerprint}
        if self.examples:
            marks[f"examples:{self.examples}"] = file_mark(self.examples)
        return marks

    @functools.cached_property
    def ready(self) -> tuple[prompts.Prompt, Sampling, str]:
        """The prompt, the sampling with this step's values in place, and what `made_by` says."""
        prompt = prompts.load(self.prompt)
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
        }
        changed: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        sampling = replace(prompt.sampling, **changed)
        return prompt, sampling, f"{self}@{prompt.fingerprint}"

    @functools.cached_property
    def _chosen(self) -> dict[int, tuple[str, ...]]:
        """The examples shown, by seed."""
        return {}

    def requests(self, text: Text, seed: int) -> tuple[list[Request], bool]:
        """The n requests for one text, and whether it held control tokens."""
        prompt, sampling, _ = self.ready
        values = {**text.meta, **self.inputs, "text": text.text}
        if self.examples:
            if seed not in self._chosen:
                self._chosen[seed] = chosen_examples(self.examples, self.k, seed)
            values["examples"] = self._chosen[seed]
        rendered = prompt.render(values)
        return [
            Request(rendered.messages, sampling, i, 0, seed) for i in range(self.n)
        ], rendered.neutralised

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        requests: list[Request] = []
        for text in texts:
            wanted, neutralised = self.requests(text, ctx.seed)
            if neutralised:
                ctx.count("texts with chat control tokens, made harmless")
            if ctx.attempt:
                wanted = [replace(request, attempt=ctx.attempt) for request in wanted]
            requests.extend(wanted)
        replies = await ctx.complete(requests, role=self.role)
        variants: list[Text] = []
        for i, text in enumerate(texts):
            made = slice(i * self.n, (i + 1) * self.n)
            variants += await self._variants(text, requests[made], replies[made], ctx)
        return variants

    async def _variants(
        self, text: Text, requests: list[Request], replies: list[Reply], ctx: Context
    ) -> list[Text]:
        prompt, _, made_by = self.ready
        variants: list[Text] = []
        unfit: ReplyError | None = None
        for request, reply in zip(requests, replies, strict=True):
            try:
                written, finish = await self.fitting(request, reply, prompt, ctx)
            except ReplyError as error:
                unfit = error
                ctx.drop(text.derive(reply.text, made_by=made_by, id=text.id), "unfit reply")
                continue
            for line in written:
                if not line:
                    reason = "truncated" if finish == "length" else "refusal"
                    ctx.drop(text.derive("", made_by=made_by, id=text.id), reason)
                    continue
                id = f"{text.id}/generate.{len(variants)}"
                if finish == "stop":
                    variants.append(text.derive(line, made_by=made_by, id=id))
                else:
                    variants.append(text.derive(line, made_by=made_by, id=id, finish=finish))
        if unfit and not variants:
            raise ReplyError(f"{unfit} ({MOST_ATTEMPTS} draws of each of {self.n})")
        return variants

    async def fitting(
        self, request: Request, reply: Reply, prompt: prompts.Prompt, ctx: Context
    ) -> tuple[list[str], str]:
        """The texts of a reply that fits, drawing again where it does not."""
        if reply.finish != "stop" and not reply.text.strip():
            return [""], reply.finish  # cut off in its reasoning, or filtered: no sample helps
        for attempt in range(1, MOST_ATTEMPTS + 1):
            cut = reply.finish == "length"
            try:
                written = parse_reply(
                    restore(reply.text),
                    prompt.output,
                    schema=prompt.sampling.schema,
                    labels=self.labels,
                    cut_off=cut,
                )
                # Whole lines before the cut are whole texts; only running text is spoilt by it.
                return written, "stop" if cut and prompt.output != "text" else reply.finish
            except ReplyError:
                if attempt == MOST_ATTEMPTS:
                    raise
                again = replace(request, attempt=request.attempt + attempt)
                reply = (await ctx.complete([again], role=self.role))[0]
        raise AssertionError("unreachable")


def chosen_examples(file: str, k: int, seed: int) -> tuple[str, ...]:
    """k texts of a file, drawn by the seed alone, without their labels."""
    return _chosen(file, k, seed, _state(file))


def file_mark(file: str) -> str:
    """The first 12 hex digits of a file's SHA-256."""
    return _mark(file, _state(file))


def _state(file: str) -> tuple[int, int]:
    """What changes when a file does."""
    try:
        state = Path(file).stat()
    except OSError as error:
        raise PlanError(f"{file} cannot be read: {error.strerror}") from None
    return state.st_mtime_ns, state.st_size


@functools.lru_cache(maxsize=64)
def _chosen(file: str, k: int, seed: int, state: tuple[int, int]) -> tuple[str, ...]:
    reservoir: list[str] = []
    draw = random.Random(seed)
    for number, text in enumerate(read(file)):
        if len(reservoir) < k:
            reservoir.append(text.text)
        elif (at := draw.randrange(number + 1)) < k:
            reservoir[at] = text.text
    if not reservoir:
        raise PlanError(f"examples: {file} holds no texts")
    return tuple(reservoir)


@functools.lru_cache(maxsize=64)
def _mark(file: str, state: tuple[int, int]) -> str:
    try:
        with Path(file).open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()[:12]
    except OSError as error:
        raise PlanError(f"{file} cannot be read: {error.strerror}") from None
