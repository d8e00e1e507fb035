"""`few_shot_queries`: queries for a passage, from a prompt that shows in-domain pairs of a file."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace

from llmaug.control_tokens import neutralise
from llmaug.errors import PlanError, TextError
from llmaug.plan import Context, Step, all_of, then
from llmaug.plan import fingerprints as fingerprints_of
from llmaug.request import Message, Request
from llmaug.steps.clean import Clean
from llmaug.steps.cut import beginning
from llmaug.steps.excerpts import check_whole
from llmaug.steps.exemplars import letters, shown
from llmaug.steps.few_shot import COPY
from llmaug.steps.generate import Generate, file_mark
from llmaug.steps.openings import FirstSentence
from llmaug.text import Text, read

MOST_SHOWN = 100
SHOWN_TOKENS = 128  # of the passage of an example
LONGEST_TASK = 1_000  # characters
ANY_QUERY = "The query is a short text that someone types in to find the passage."


@dataclass(frozen=True)
class Example:
    """A pair as a prompt shows it, and the letters of its texts, by which copies are known."""

    passage: str
    query: str
    query_letters: str
    passages_letters: frozenset[str]  # of the passage without and with its title


@dataclass(frozen=True, repr=False)
class AfterExamples(Generate):
    """Variants from a prompt of one user turn, before which worked examples stand as turns.

    Small models follow examples that are turns of the chat, and copy from those within one turn.
    The text's field `examples` holds them; a passage and its query cannot open a turn.
    """

    def __hash__(self) -> int:
        return hash(str(self))

    def requests(self, text: Text, seed: int) -> tuple[list[Request], bool]:
        requests, found = super().requests(text, seed)
        turns: list[Message] = []
        for example in text.meta["examples"]:
            shown_before = self.ready[0].render({**self.inputs, "text": example.passage})
            query, _ = neutralise(example.query)
            turns += [shown_before.messages[-1], Message("assistant", query)]
        *system, own = requests[0].messages
        messages = (*system, *turns, own)
        return [replace(request, messages=messages) for request in requests], found


@dataclass(frozen=True, repr=False)
class FewShotQueries(Step):
    """`n` queries for each passage, from a prompt with the input `task`, behind `k` examples.

    `examples` is a file whose rows have a `query` and the `text` (and `title`) of a passage that
    answers it. `k` of these pairs are shown as turns of the chat, drawn by the run's seed: the
    same for every passage, in the same order, but for a pair whose passage is the one asked
    about: another takes its place, and it is counted. Each passage of a pair stands on one line,
    cut at 128 tokens. Of a reply the first sentence counts; one that repeats a query shown is
    dropped as "copies an exemplar".
    """

    prompt: str
    examples: str
    _: KW_ONLY
    task: str = ANY_QUERY
    n: int = 8
    k: int = 4
    temperature: float | None = None
    role: str = "lm"

    @functools.cached_property
    def writer(self) -> Generate:
        """What writes the queries once the examples are known."""
        task = " ".join(self.task.split())
        return AfterExamples(
            self.prompt,
            n=self.n,
            temperature=self.temperature,
            inputs={"task": task},
            role=self.role,
        )

    @functools.cached_property
    def made_by(self) -> str:
        return f"{self}@{'+'.join(self.fingerprints().values())}"

    @property
    def needs(self) -> frozenset[str]:
        return self.writer.needs

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({self.role})

    def check(self) -> None:
        check_whole(self, most=MOST_SHOWN, k=self.k)
        if not isinstance(self.task, str) or not 0 < len(self.task.strip()) <= LONGEST_TASK:
            raise PlanError(
                f"{self}: task must say what a query is, in at most {LONGEST_TASK:,} characters"
            )
        if not isinstance(self.examples, str):
            raise PlanError(f"{self}: examples must be the name of a file")
        self.writer.check()
        count = len(example_pairs(self.examples, file_mark(self.examples)))
        if count < self.k:
            raise PlanError(f"k={self.k}, and {self.examples} has {count:,} pairs; give k={count}")

    def fingerprints(self) -> Mapping[str, str]:
        return {**fingerprints_of(self.writer), f"examples:{self.examples}": self._mark}

    @property
    def _mark(self) -> str:
        return file_mark(self.examples)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        outputs = await all_of([self._queries(text, ctx) for text in texts])
        return [query for queries in outputs for query in queries]

    async def _queries(self, text: Text, ctx: Context) -> list[Text]:
        examples = self._shown_for(text, ctx)
        asked = text.with_meta(examples=examples)
        replies = await then(self.writer, FirstSentence(), Clean("prose")).apply([asked], ctx)
        copies = {example.query_letters for example in examples}
        queries: list[Text] = []
        for reply in replies:
            id = f"{text.id}/few_shot_queries.{len(queries)}"
            query = text.derive(reply.text, made_by=self.made_by, id=id)
            if letters(reply.text) in copies:
                ctx.drop(query, COPY)
            else:
                queries.append(query)
        return queries

    def _shown_for(self, text: Text, ctx: Context) -> list[Example]:
        own = {letters(text.text), letters(ctx.root.text)}
        own.add(letters(f"{ctx.root.meta.get('title') or ''} {ctx.root.text}"))
        ordered = _order(self.examples, self._mark, ctx.seed)
        others = [example for example in ordered if not example.passages_letters & own]
        if len(others) < len(ordered):
            ctx.count(f"passages that stand among the examples of {self.examples}")
        return others[: self.k]


@functools.lru_cache(maxsize=8)
def example_pairs(file: str, mark: str) -> tuple[Example, ...]:
    """The pairs of a file in the state `mark`; `PlanError` says which row is none."""
    pairs = []
    try:
        for number, row in enumerate(read(file), 1):
            query = row.meta.get("query")
            if not isinstance(query, str) or not query.strip():
                raise PlanError(
                    f"{file}: row {number} has no field 'query'; an example is a query with the "
                    "text of a passage that answers it"
                )
            pairs.append(_example(query, row))
    except TextError as error:
        raise PlanError(f"examples: {error}") from None
    if not pairs:
        raise PlanError(f"{file} holds no pairs; give a file of queries with their passages")
    return tuple(pairs)


def _example(query: str, passage: Text) -> Example:
    titled = f"{passage.meta.get('title') or ''} {passage.text}".strip()
    line = " ".join(beginning(titled, SHOWN_TOKENS).split())
    return Example(
        line,
        shown(query),
        letters(query),
        frozenset({letters(passage.text), letters(titled)}),
    )


@functools.lru_cache(maxsize=64)
def _order(file: str, mark: str, seed: int) -> tuple[Example, ...]:
    order = list(example_pairs(file, mark))
    random.Random(f"{seed} pairs").shuffle(order)
    return tuple(order)
