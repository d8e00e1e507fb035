"""`of_class`: new texts of the class of each text, from a prompt that shows others of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from llmaug.errors import PlanError, did_you_mean
from llmaug.plan import Context, Step, all_of
from llmaug.plan import fingerprints as fingerprints_of
from llmaug.steps.excerpts import check_whole
from llmaug.steps.exemplars import Label, check_exemplars, drawn, exemplar_file, label_of
from llmaug.steps.few_shot import MOST_SHOWN, check_writer, variants_of
from llmaug.steps.generate import Generate
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class OfClass(Step):
    """`n` new texts of each text's own class, from a prompt with the inputs `label` and `examples`.

    The text's field `label` holds its class; `names` says what the prompt calls it, such as
    {0: "negative"}. `examples` is a file with the same field: `k` of its texts of that class
    are shown, as in `few_shot`; without a file the text itself is the only seed. A class that is
    not in the file or in `names` fails the row. The new texts keep the fields of their seed.
    """

    prompt: str
    _: KW_ONLY
    n: int = 1
    label: str = "label"
    names: Mapping[Label, str] = field(default_factory=dict)
    examples: str | None = None
    k: int = 4
    pick: str = "seeded"
    temperature: float | None = None
    role: str = "lm"

    def __hash__(self) -> int:
        return hash(str(self))

    @functools.cached_property
    def writer(self) -> Step:
        """What writes the new texts once the class and its exemplars are known."""
        return Generate(self.prompt, n=self.n, temperature=self.temperature, role=self.role)

    @functools.cached_property
    def made_by(self) -> str:
        return f"{self}@{'+'.join(self.fingerprints().values())}"

    @property
    def needs(self) -> frozenset[str]:
        return (self.writer.needs - {"label", "examples"}) | {self.label}

    @property
    def uses(self) -> frozenset[str]:
        nearest = self.examples is not None and self.pick == "nearest"
        return frozenset({self.role} | ({"embedder"} if nearest else set()))

    def check(self) -> None:
        check_whole(self, most=MOST_SHOWN, k=self.k)
        if not isinstance(self.label, str) or not self.label:
            raise PlanError(f"{self}: label must be the name of the field that holds the label")
        check_names(self.names)
        check_writer(self.writer, "label")
        if self.examples is not None:
            check_writer(self.writer, "examples")
            check_exemplars(
                self.examples, k=self.k, pick=self.pick, label=self.label, balanced=False
            )
            for own in exemplar_file(self.examples, self.label).classes:
                if own is not None:
                    named(own, self.names)

    def fingerprints(self) -> Mapping[str, str]:
        marks = dict(fingerprints_of(self.writer))
        if self.examples is not None:
            marks[f"examples:{self.examples}"] = exemplar_file(self.examples, self.label).mark
        return marks

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        outputs = await all_of([self._variants(text, ctx) for text in texts])
        return [variant for variants in outputs for variant in variants]

    async def _variants(self, text: Text, ctx: Context) -> list[Text]:
        own = label_of(text, self.label, "a text")
        examples: list[str] = []
        if self.examples is not None:
            source = exemplar_file(self.examples, self.label)
            if own not in source.classes:
                raise PlanError(
                    f"the label {own!r} of the text {text.id!r} is none of {self.examples}; "
                    + did_you_mean(str(own), map(repr, source.classes))
                )
            examples = await drawn(source, text, ctx, k=self.k, pick=self.pick, among=(own,))
        values = {"label": named(own, self.names), "examples": examples}
        return await variants_of(text, self.writer, ctx, made_by=self.made_by, values=values)


def check_names(names: Mapping[Label, str]) -> None:
    """Raise `PlanError` unless these are words by label."""
    if not isinstance(names, Mapping) or not all(
        isinstance(word, str) and word.strip() for word in names.values()
    ):
        raise PlanError(f"names={names!r}: must be like {{0: 'negative', 1: 'positive'}}")


def named(label: Label, names: Mapping[Label, str]) -> str:
    """What a prompt calls a label, on one line; `PlanError` when `names` lacks it."""
    if names and label not in names:
        known = did_you_mean(str(label), map(repr, names))
        raise PlanError(f"names has no word for the label {label!r}; {known}")
    return " ".join(str(names[label] if names else label).split())[:100]
