"""`choose`: one of several options for a text, chosen by a model that sees the corpus."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step, all_of
from llmaug.plan import check as check_plan
from llmaug.plan import fingerprints as fingerprints_of
from llmaug.steps.excerpts import MOST, NOTHING_FOUND, WORDS, check_whole, excerpt, found
from llmaug.steps.feedback import check_shows_passages, needs_beside, written_by
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class Choose(Step):
    """Each text with the option that a model names, as the field `field`, for the next prompt.

    The prompt shows the `k` best passages of the index (each cut to `words` words) and says what
    the options mean. A reply that names none of them, or several and not one on its first line, is
    dropped as "no option chosen", and a text whose reply was dropped goes no further.
    """

    prompt: str
    options: tuple[str, ...]
    _: KW_ONLY
    field: str = "option"
    k: int = 3
    words: int = WORDS
    temperature: float | None = None
    role: str = "lm"

    @functools.cached_property
    def writer(self) -> Step:
        """What asks the model once the passages are known."""
        return written_by(self.prompt, n=1, temperature=self.temperature, role=self.role)

    @functools.cached_property
    def made_by(self) -> str:
        return f"{self}@{'+'.join(self.fingerprints().values())}"

    @property
    def needs(self) -> frozenset[str]:
        return needs_beside(self.writer)

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({self.field, "passage_ids"})

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"index", self.role})

    def check(self) -> None:
        check_whole(self, most=MOST, k=self.k, words=self.words)
        options = self.options
        if (
            not isinstance(options, tuple)
            or len(options) < 2
            or not all(isinstance(option, str) and option.strip() for option in options)
        ):
            raise PlanError(f"{self}: options must be a list of two or more strings")
        if not isinstance(self.field, str) or not self.field.isidentifier():
            raise PlanError(f"{self}: field must be a name")
        check_plan(self.writer)
        check_shows_passages(self, self.writer)

    def fingerprints(self) -> Mapping[str, str]:
        return fingerprints_of(self.writer)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        chosen = await all_of([self._chosen(text, ctx) for text in texts])
        return [text for text in chosen if text is not None]

    async def _chosen(self, text: Text, ctx: Context) -> Text | None:
        passages = await found(text.text, text, ctx, k=self.k, depth=self.k)
        if not passages:
            ctx.drop(text.derive("", made_by=self.made_by, id=text.id), NOTHING_FOUND)
            return None
        shown = [excerpt(passage, self.words) for passage in passages]
        replies = await self.writer.apply([text.with_meta(passages=shown)], ctx)
        if not replies:
            return None  # `clean` said why
        option = option_in(replies[0].text, self.options)
        if option is None:
            said = text.derive(replies[0].text, made_by=self.made_by, id=text.id)
            ctx.drop(said, "no option chosen")
            return None
        ids = [passage.id for passage in passages]
        return text.with_meta(**{self.field: option, "passage_ids": ids})


def option_in(reply: str, options: Sequence[str]) -> str | None:
    """The one option that a reply names, or that its first line names; None where that is unclear.

    Case, and what stands between the words of a name (`clarify_intent`), do not matter.
    """
    for part in (reply, reply.strip().partition("\n")[0]):
        said = f" {_words(part)} "
        named = [option for option in options if f" {_words(option)} " in said]
        if len(named) == 1:
            return named[0]
    return None


def _words(text: str) -> str:
    return " ".join(re.split(r"[\W_]+", text.casefold())).strip()
