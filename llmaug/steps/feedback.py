"""`feedback`: variants written from a prompt that shows what the index holds about the text."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step, all_of, walk
from llmaug.plan import check as check_plan
from llmaug.plan import fingerprints as fingerprints_of
from llmaug.steps.clean import Clean
from llmaug.steps.excerpts import MOST, NOTHING_FOUND, WORDS, check_whole, excerpt, found
from llmaug.steps.filters import WORD
from llmaug.steps.generate import Generate
from llmaug.steps.quotes import sort_quotes
from llmaug.text import Text

MOST_ROUNDS = 10
NOT_QUOTED = "not in the passages"
QUERY_SHARE = 3  # words of the expansions for each word of the query in the next search


@dataclass(frozen=True, repr=False)
class Feedback(Step):
    """`n` variants of each text in each round, from a prompt with the input `passages`.

    It shows the `k` best passages, each cut to `words` words on one line; they come from the
    index, never from the text's own fields. After a round the index is searched with the text and
    everything written so far, and passages shown before are left out. A text for which nothing is
    found has no variants; a later round that finds nothing new is the last. Replies are cleaned
    as prose.
    With `quoted`, a reply is a list of sentences copied from the passages: those that stand there
    make one variant, the others are dropped. A variant has the field `passage_ids`.
    """

    prompt: str
    _: KW_ONLY
    n: int = 1
    k: int = 5
    rounds: int = 1
    words: int = WORDS
    quoted: bool = False
    temperature: float | None = None
    max_tokens: int | None = None
    role: str = "lm"

    @functools.cached_property
    def writer(self) -> Step:
        """What writes the variants once the passages are known."""
        return written_by(
            self.prompt,
            n=self.n,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            role=self.role,
            asked="" if self.quoted else "prose",
        )

    @functools.cached_property
    def made_by(self) -> str:
        return f"{self}@{'+'.join(self.fingerprints().values())}"

    @property
    def needs(self) -> frozenset[str]:
        return needs_beside(self.writer)

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"passage_ids"})

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"index", self.role})

    def check(self) -> None:
        check_whole(self, most=10_000, n=self.n)
        check_whole(self, most=MOST, k=self.k, words=self.words)
        check_whole(self, most=MOST_ROUNDS, rounds=self.rounds)
        if not isinstance(self.quoted, bool):
            raise PlanError(f"{self}: quoted must be True or False")
        check_plan(self.writer)
        check_shows_passages(self, self.writer)

    def fingerprints(self) -> Mapping[str, str]:
        return fingerprints_of(self.writer)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        outputs = await all_of([self._rounds(text, ctx) for text in texts])
        return [variant for variants in outputs for variant in variants]

    async def _rounds(self, text: Text, ctx: Context) -> list[Text]:
        variants: list[Text] = []
        seen: set[str] = set()
        for number in range(self.rounds):
            passages = await found(
                next_query(text.text, [variant.text for variant in variants]),
                text,
                ctx,
                k=self.k,
                depth=self.k * self.rounds,
                seen=seen,
            )
            if not passages:
                if number == 0:
                    ctx.drop(text.derive("", made_by=self.made_by, id=text.id), NOTHING_FOUND)
                break
            ids = [passage.id for passage in passages]
            seen.update(ids)
            shown = [excerpt(passage, self.words) for passage in passages]
            for reply in await self.writer.apply([text.with_meta(passages=shown)], ctx):
                if written := self._kept(reply.text, text, shown, ctx):
                    id = f"{text.id}/feedback.{len(variants)}"
                    variants.append(
                        text.derive(written, made_by=self.made_by, id=id, passage_ids=ids)
                    )
        return variants

    def _kept(self, reply: str, text: Text, shown: Sequence[str], ctx: Context) -> str:
        """What of a reply is a variant: all of it, or its real quotes."""
        if not self.quoted:
            return reply
        real, invented = sort_quotes(reply, shown)
        for quote in invented:
            ctx.drop(text.derive(quote, made_by=self.made_by, id=text.id), NOT_QUOTED)
        return " ".join(real)


def written_by(
    prompt: str,
    *,
    n: int,
    temperature: float | None,
    max_tokens: int | None = None,
    role: str,
    asked: str = "",
) -> Step:
    """Cleaned replies to a prompt; `asked` as in `clean`."""
    written = Generate(prompt, n=n, temperature=temperature, max_tokens=max_tokens, role=role)
    return written >> Clean(asked=asked)


def needs_beside(writer: Step) -> frozenset[str]:
    """The fields that a prompt needs beside the passages."""
    needs = frozenset[str]().union(*(step.needs for step in walk(writer)))
    return needs - {"passages"}


def check_shows_passages(step: Step, writer: Step) -> None:
    """Raise `PlanError` when the prompt has no place for passages."""
    for inner in walk(writer):
        if isinstance(inner, Generate) and "passages" not in inner.ready[0].inputs:
            raise PlanError(f"{step}: prompt {inner.prompt!r} has no input 'passages'")


def next_query(text: str, expansions: Sequence[str]) -> str:
    """The text and what was written for it, the text so often that it keeps its weight.

    Lei et al. 2025, ThinkQE (arXiv 2506.09260): max(1, words of the expansions / 3 words of the
    query) times, each on a line of its own.
    """
    if not expansions:
        return text
    words = sum(len(WORD.findall(expansion)) for expansion in expansions)
    repeats = max(1, words // (QUERY_SHARE * max(1, len(WORD.findall(text)))))
    return "\n".join([text] * repeats + list(expansions))
