"""`check_step`: the laws that every step keeps, for our own steps and for those of plugins."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import random
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug import notation
from llmaug import plan as plans
from llmaug.backends.fake import FakeBackend
from llmaug.plan import Step
from llmaug.request import Backend, Reply, Request
from llmaug.steps.keep import Keep
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

DIMENSIONS = 64

SENTENCES = (
    "The battery lasts two days and charges in under an hour.",
    "How do I return a parcel that arrived damaged?",
    "a mess from start to finish , but a charming one",
    "Das Zimmer war klein, aber sehr sauber.",
    "I'd buy it again!",
)


@dataclass
class StepContext:
    """A context in memory that works for one root and keeps what the step reported.

    The embedder hashes words, the classifier looks at that embedding, the language model is
    `lm` (a `FakeBackend` unless given), and the search goes over `corpus`.
    """

    root: Text
    seed: int = 0
    attempt: int = 0
    corpus: Sequence[Text] = ()
    lm: Backend = field(default_factory=FakeBackend)
    drops: list[tuple[Text, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    async def complete(self, requests: Sequence[Request], role: str = "lm") -> list[Reply]:
        await asyncio.sleep(0)
        # As the engine does: the seed depends on the whole request and on nothing else.
        drawn = [
            dataclasses.replace(
                request, seed=int.from_bytes(hashlib.sha256(repr(request).encode()).digest()[:4])
            )
            for request in requests
        ]
        return [await self.lm.complete(request) for request in drawn]

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        await asyncio.sleep(0)
        return hashed_words(texts)

    async def search(self, queries: Sequence[str], k: int) -> list[list[Text]]:
        await asyncio.sleep(0)
        if not self.corpus:
            return [[] for _ in queries]
        scores = hashed_words(queries) @ hashed_words([text.text for text in self.corpus]).T
        return [
            [
                self.corpus[i].with_meta(score=float(row[i]), rank=rank)
                for rank, i in enumerate((-row).argsort(kind="stable")[:k].tolist(), 1)
            ]
            for row in scores
        ]

    async def classify(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        await asyncio.sleep(0)
        positive = (1 + hashed_words(texts)[:, :1]) / 2
        return np.hstack([1 - positive, positive])

    def drop(self, text: Text, reason: str) -> None:
        self.drops.append((text, reason))

    def count(self, event: str) -> None:
        self.counts[event] += 1


def hashed_words(texts: Sequence[str]) -> np.ndarray:
    """Bags of hashed words as unit vectors, (n, 64) float32: alike when the words are."""
    import numpy as np

    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in text.casefold().split() or [text]:
            place = zlib.crc32(word.encode("utf-8", "surrogatepass"))
            row[place % DIMENSIONS] += 1 if place & 1024 else -1
        if not row.any():
            row[0] = 1
        row /= np.linalg.norm(row)
    return vectors


class Outcome(NamedTuple):
    """What a step did with the texts of one root."""

    texts: list[Text]
    drops: list[tuple[Text, str]]


def check_step(
    step: Step,
    *,
    texts: Sequence[Text] | None = None,
    names: Mapping[str, Callable[..., Step]] | None = None,
    seed: int = 0,
) -> None:
    """Raise `AssertionError` with what is wrong when a step breaks a law that the engine needs.

    `texts` are the inputs to try it on (five short sentences unless given): with the fields that
    the step needs, and from the file where it looks texts up. `names` is what a plan may hold,
    the built-in names unless given. Runs an event loop of its own.
    """
    if names is None:
        from llmaug.vocabulary import NAMES

        names = NAMES
    roots = (
        list(texts)
        if texts is not None
        else [Text(sentence, id=f"t{i}", root=f"t{i}") for i, sentence in enumerate(SENTENCES)]
    )
    plans.check(step, frozenset.intersection(*(frozenset(root.meta) for root in roots)))
    _check_value(step)
    _check_printed_form(step, names)
    _check_algebra(step)
    asyncio.run(_check_runs(step, roots, seed))


def _check_value(step: Step) -> None:
    assert dataclasses.is_dataclass(step), f"{type(step).__name__}: a step is a frozen dataclass"
    first = next(iter(dataclasses.fields(step)), None)
    if first:
        try:
            setattr(step, first.name, getattr(step, first.name))
        except dataclasses.FrozenInstanceError:
            pass
        else:
            raise AssertionError(f"{step}: its dataclass is not frozen, so a plan could change")
    twin: Any = dataclasses.replace(step)
    assert twin == step, f"{step}: two steps with equal values are not equal"
    assert hash(twin) == hash(step), f"{step}: equal steps have different hashes"


def _check_printed_form(step: Step, names: Mapping[str, Callable[..., Step]]) -> None:
    again = notation.parse(str(step), names)
    assert again == step, f"parse({str(step)!r}) gives another step: {again}"
    assert str(again) == str(step), f"{step} prints as {again} after parsing"
    assert repr(step) == str(step), f"{step}: repr differs from str; use dataclass(repr=False)"


def _check_algebra(step: Step) -> None:
    other = Keep()
    assert (step >> other) >> step == step >> (other >> step), f"{step}: >> is not associative"
    assert (step + other) + step == step + (other + step), f"{step}: + is not associative"
    for joined in (other >> step >> other, other + step + other):
        for part in joined.parts():
            assert type(part) is not type(joined), f"{joined} is not flat"


def handed(root: Text) -> list[Text]:
    """An input and variants such as a step meets: alike, equal, unlike, chatty, odd, empty."""
    words = root.text.split()
    written = [
        " ".join(words[::-1]),
        root.text.upper(),
        "something else altogether",
        f'Here is a rewrite: "{root.text}"',
        "I'm sorry, but I can't help with that.",
        "\u200b🙂 \ufeffÅ",
        "",
    ]
    return [root] + [
        root.derive(text, made_by="made()", id=f"{root.id}/made.{i}")
        for i, text in enumerate(written)
    ]


async def _run(
    step: Step, root: Text, texts: list[Text], *, seed: int, corpus: Sequence[Text]
) -> Outcome:
    ctx = StepContext(root=root, seed=seed, corpus=corpus)
    return Outcome(await step.apply(list(texts), ctx), ctx.drops)


async def _check_runs(step: Step, roots: list[Text], seed: int) -> None:
    alone = {}
    for root in roots:
        for texts in ([root], handed(root)):
            outcome = await _run(step, root, texts, seed=seed, corpus=roots)
            _check_outcome(step, root, texts, outcome)
            behind = await _run(Keep() >> step, root, texts, seed=seed, corpus=roots)
            assert behind == outcome, f"keep() >> {step} differs from {step} on {root.id}"
        alone[root.id] = outcome
    shuffled = random.Random(seed).sample(roots, len(roots))
    together = await asyncio.gather(
        *(_run(step, root, handed(root), seed=seed, corpus=roots) for root in shuffled)
    )
    for root, outcome in zip(shuffled, together, strict=True):
        assert outcome == alone[root.id], (
            f"{step}: the result for {root.id} depends on the order of the inputs or on which "
            "others run beside it"
        )


def _check_outcome(step: Step, root: Text, texts: list[Text], outcome: Outcome) -> None:
    for text in [*outcome.texts, *(text for text, _ in outcome.drops)]:
        assert isinstance(text, Text), f"{step}: {text!r} is no Text"
        assert text.root == root.id, f"{step}: {text.id} has the root {text.root}, not {root.id}"
        assert text.made_by or (text.id, text.text) == (root.id, root.text), (
            f"{step}: {text.id} is no input and has no made_by"
        )
    for text, reason in outcome.drops:
        assert reason.strip(), f"{step}: {text.id} was dropped without a reason"
    for text in outcome.texts:
        missing = step.gives - set(text.meta) if text.made_by else set()
        assert not missing, f"{step}: {text.id} lacks {sorted(missing)}, which the step gives"
    _check_account(step, root, texts, outcome)


def _check_account(step: Step, root: Text, texts: list[Text], outcome: Outcome) -> None:
    """Nothing disappears: a filter passes on or drops every text, others at least every root."""
    known = {text.id for text in texts}
    dropped = Counter(text.id for text, _ in outcome.drops)
    if root.id in dropped:
        return
    passed = Counter(text.id for text in outcome.texts)
    assert passed or dropped, f"{step}: {root.id} disappeared; hand it to ctx.drop with a reason"
    if not (set(passed) | set(dropped)) - known and not step.parts():
        for text in texts:
            assert passed[text.id] + dropped[text.id] == 1, (
                f"{step}: {text.id} was passed on {passed[text.id]} times and dropped "
                f"{dropped[text.id]} times; it must be one of the two, once"
            )
