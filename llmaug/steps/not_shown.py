"""`not_shown`: whether a variant is but a worked example of the prompt that it was written from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from llmaug import prompt as prompts
from llmaug.plan import Context, Step
from llmaug.steps.exemplars import letters
from llmaug.steps.few_shot import COPY
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class NotShown(Step):
    """Drop a variant that repeats an answer shown in the `prompt`, as small models now and then do.

    Its assistant turns are such answers, and of several lines the first. Letters and digits are
    compared. Dropped as "copies an exemplar"; inputs pass.
    """

    prompt: str

    @functools.cached_property
    def answers(self) -> frozenset[str]:
        """What the prompt's worked examples answer, by letters and digits."""
        turns = [said for role, said in prompts.load(self.prompt).segments if role == "assistant"]
        return frozenset(letters(said) for turn in turns for said in (turn, turn.splitlines()[0]))

    def check(self) -> None:
        prompts.load(self.prompt)

    def fingerprints(self) -> Mapping[str, str]:
        return {f"prompt:{self.prompt}": prompts.load(self.prompt).fingerprint}

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        kept = []
        for text in texts:
            if text.made_by and letters(text.text) in self.answers:
                ctx.drop(text, COPY)
            else:
                kept.append(text)
        return kept
