"""`nli`: whether a variant follows from its input, and the input from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.steps.entailment import entailment, entailment_class, fingerprint
from llmaug.steps.keeps_label import check_share
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class Nli(Step):
    """Keep the variants that follow from the input with a probability of at least `min`.

    `model` is the folder of a cross-encoder for natural language inference: a transformers
    sequence classifier in safetensors format, one of whose labels is called entailment. With
    `both` the input must also follow from the variant, and the smaller probability counts: the
    two say the same (mutual implication). Without, a variant may say less than its input.
    Dropped as `nli<0.5`; survivors carry the field `entailment`, rounded to four places, which is
    also what is compared. A pair too long for the model loses the end of its longer text. Inputs
    pass.
    """

    gives = frozenset({"entailment"})

    model: str
    _: KW_ONLY
    min: float = 0.5
    both: bool = True

    def check(self) -> None:
        check_share(self, self.min)
        if not isinstance(self.both, bool):
            raise PlanError(f"{self}: both must be True or False")
        if not isinstance(self.model, str) or not self.model:
            raise PlanError(f"{self}: model must be the name of a folder")
        entailment_class(self._folder())

    def _folder(self) -> Path:
        return Path(self.model).expanduser()

    def fingerprints(self) -> Mapping[str, str]:
        return {f"nli:{self.model}": fingerprint(self._folder())}

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        source = ctx.root.text
        written = [text.text for text in texts if text.made_by]
        if not written:
            return texts
        pairs = [(source, text) for text in written]
        if self.both:
            pairs += [(text, source) for text in written]
        folder = self._folder()
        found = await entailment(folder, fingerprint(folder))(pairs)
        forward, back = found[: len(written)], found[len(written) :] or found
        least = iter(map(min, forward, back))
        kept = []
        for text in texts:
            if not text.made_by:
                kept.append(text)
                continue
            probability = round(next(least), 4)
            if probability < self.min:
                ctx.drop(text, f"nli<{self.min}")
            else:
                kept.append(text.with_meta(entailment=probability))
        return kept
