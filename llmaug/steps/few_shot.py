"""`few_shot`: variants written from a prompt that shows texts of an in-domain file."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from llmaug.errors import PlanError
from llmaug.plan import Context, Step, all_of
from llmaug.plan import fingerprints as fingerprints_of
from llmaug.steps.clean import Clean
from llmaug.steps.excerpts import check_whole
from llmaug.steps.exemplars import check_exemplars, drawn, exemplar_file, letters
from llmaug.steps.generate import Generate
from llmaug.text import Text

COPY = "copies an exemplar"
MOST_SHOWN = 1_000


@dataclass(frozen=True, repr=False)
class FewShot(Step):
    """`n` variants of each text, from a prompt whose input `examples` are `k` texts of a file.

    Each stands on one line of at most 300 characters. `pick` is "seeded" (drawn by the run's
    seed: the same for every text, so that prefix caches hit) or "nearest" (by embedding, for
    each text its own, the most similar last); the file is embedded once. `label` names the
    field that holds the file's labels: then equal numbers of each class are shown, `k` rounded
    down; no label is. A text is never shown itself: another takes its place, and it is counted
    as a text that stands in the file. Replies are cleaned; one that repeats an exemplar is
    dropped as "copies an exemplar". Variants do not carry the exemplars.
    """

    prompt: str
    examples: str
    _: KW_ONLY
    n: int = 1
    k: int = 8
    pick: str = "seeded"
    label: str | None = None
    temperature: float | None = None
    role: str = "lm"

    @functools.cached_property
    def writer(self) -> Step:
        """What writes the variants once the exemplars are known."""
        return Generate(self.prompt, n=self.n, temperature=self.temperature, role=self.role)

    @functools.cached_property
    def made_by(self) -> str:
        return f"{self}@{'+'.join(self.fingerprints().values())}"

    @property
    def needs(self) -> frozenset[str]:
        return self.writer.needs - {"examples"}

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({self.role} | ({"embedder"} if self.pick == "nearest" else set()))

    def check(self) -> None:
        check_whole(self, most=MOST_SHOWN, k=self.k)
        check_writer(self.writer, "examples")
        check_exemplars(self.examples, k=self.k, pick=self.pick, label=self.label, balanced=True)

    def fingerprints(self) -> Mapping[str, str]:
        mark = exemplar_file(self.examples, self.label).mark
        return {**fingerprints_of(self.writer), f"examples:{self.examples}": mark}

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        source = exemplar_file(self.examples, self.label)
        outputs = []
        for text in texts:
            if source.holds(text.text):
                ctx.count(f"texts that stand in the exemplar file {self.examples}")
            outputs.append(self._variants(text, ctx))
        return [variant for variants in await all_of(outputs) for variant in variants]

    async def _variants(self, text: Text, ctx: Context) -> list[Text]:
        source = exemplar_file(self.examples, self.label)
        examples = await drawn(
            source, text, ctx, k=self.k, pick=self.pick, among=tuple(source.classes)
        )
        return await variants_of(
            text, self.writer, ctx, made_by=self.made_by, values={"examples": examples}
        )


def check_writer(writer: Step, shows: str) -> None:
    """Raise `PlanError` when the writer makes no sense, or its prompt has no place for this."""
    assert isinstance(writer, Generate)
    inputs = writer.ready[0].inputs
    if shows not in inputs:
        raise PlanError(f"prompt {writer.prompt!r} has no input {shows!r}")
    given = {name: "" for name in ("examples", "label") if name in inputs and inputs[name].fixed}
    Generate(
        writer.prompt, n=writer.n, temperature=writer.temperature, inputs=given, role=writer.role
    ).check()


async def variants_of(
    text: Text, writer: Step, ctx: Context, *, made_by: str, values: Mapping[str, Any]
) -> list[Text]:
    """Cleaned replies to a prompt that sees more fields, which the variants do not carry."""
    replies = await (writer >> Clean()).apply([text.with_meta(**values)], ctx)
    copies = {letters(example) for example in values["examples"]} - {letters(text.text)}
    variants: list[Text] = []
    for reply in replies:
        id = f"{text.id}/few_shot.{len(variants)}"
        variant = text.derive(reply.text, made_by=made_by, id=id)
        if letters(reply.text) in copies:
            ctx.drop(variant, COPY)
        else:
            variants.append(variant)
    return variants
