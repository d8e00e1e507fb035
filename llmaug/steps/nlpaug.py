"""`nlpaug`: the word- and character-level noise of the library nlpaug, as baselines."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import random
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from llmaug.errors import MissingExtra, PlanError, did_you_mean
from llmaug.plan import Context, Step
from llmaug.text import Text

# Class and its arguments; the first part of a kind is the module of `nlpaug.augmenter`.
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "char_delete": ("RandomCharAug", {"action": "delete"}),
    "char_insert": ("RandomCharAug", {"action": "insert"}),
    "char_keyboard": ("KeyboardAug", {}),
    "char_ocr": ("OcrAug", {}),
    "char_substitute": ("RandomCharAug", {"action": "substitute"}),
    "char_swap": ("RandomCharAug", {"action": "swap"}),
    "word_crop": ("RandomWordAug", {"action": "crop"}),
    "word_delete": ("RandomWordAug", {"action": "delete"}),
    "word_spelling": ("SpellingAug", {}),
    "word_split": ("SplitAug", {}),
    "word_swap": ("RandomWordAug", {"action": "swap"}),
}
MOST_TRIES = 20

# nlpaug draws from the global generators of `random` and numpy. One call at a time seeds them
# for its own copy and puts them back, so that a copy depends neither on what ran before nor on
# threads, and the caller's own draws go on as if nothing had happened.
GLOBAL_GENERATORS = threading.Lock()


@dataclass(frozen=True, repr=False)
class Nlpaug(Step):
    """`n` noisy copies of each text, made by nlpaug (Ma 2019) with the settings that it comes with.

    `rate` is the share of the words that change, rounded up; inside such a word the `char_` kinds
    change three letters in ten. Departures: at most ten words in nlpaug, no limit here; and the
    spelling mistakes of a word are sorted, since their order changes from process to process.
    Nothing is downloaded: the kinds that need word lists or models are left out.

    nlpaug takes texts apart at everything that is no letter and joins the parts with spaces
    ("it's" becomes "it ' s", line breaks go). A copy may come back unchanged, as from `edit`; see
    `dedupe`. One without any character is dropped as "empty", one on which nlpaug itself fails
    20 times in a row as "nlpaug failed".

    A copy depends on nlpaug's version, the seed, the kind, the rate, the text and its own number
    alone, so a larger `n` adds copies and changes none.
    """

    kind: str
    n: int = 1
    rate: float = 0.1

    def check(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise PlanError(
                f"{self}: unknown kind {self.kind!r}; " + did_you_mean(str(self.kind), KINDS)
            )
        if isinstance(self.n, bool) or not isinstance(self.n, int) or not 1 <= self.n <= 10_000:
            raise PlanError(f"{self}: n must be a whole number from 1 to 10,000")
        if (
            isinstance(self.rate, bool)
            or not isinstance(self.rate, int | float)
            or not 0 < self.rate <= 1
        ):
            raise PlanError(f"{self}: rate must be a number above 0 and at most 1")
        installed_mark()

    def fingerprints(self) -> Mapping[str, str]:
        return {"nlpaug": installed_mark()}

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        made_by = f"{self}@{installed_mark()}"
        variants = []
        for text in texts:
            for i in range(self.n):
                copy = self._copy(text.text, ctx.seed, i)
                variant = text.derive(copy or "", made_by=made_by, id=f"{text.id}/nlpaug.{i}")
                if copy is None:
                    ctx.drop(variant, "nlpaug failed")
                elif not copy.strip():
                    ctx.drop(variant, "empty")
                else:
                    variants.append(variant)
        return variants

    def _copy(self, text: str, seed: int, number: int) -> str | None:
        """One copy; None where nlpaug cannot make it."""
        key = "\x1f".join((str(replace(self, n=1)), str(seed), str(number), text))
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        with _seeded(int.from_bytes(digest[:4], "big")):
            augment = _augmenter(self.kind, self.rate)
            for _ in range(MOST_TRIES):
                try:
                    copies: Any = augment(text)
                except (IndexError, ValueError):
                    # Cropping one word asks for a place in an empty list, one time in two.
                    continue
                # A list since 1.1.11, a string before.
                return copies if isinstance(copies, str) else "".join(copies[:1])
        return None


def installed_mark() -> str:
    """12 hex digits for the installed version of nlpaug; raises `MissingExtra` without one."""
    if importlib.util.find_spec("nlpaug") is None:
        raise MissingExtra("nlpaug", "nlpaug")
    version = importlib.metadata.version("nlpaug")
    return hashlib.sha256(f"nlpaug {version}".encode()).hexdigest()[:12]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The global generators, seeded and to ourselves; as they were afterwards."""
    import numpy as np

    with GLOBAL_GENERATORS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old syntax in nlpaug is not our user's business
        before, before_numpy = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(before_numpy)


@functools.lru_cache(maxsize=64)
def _augmenter(kind: str, rate: float) -> Callable[[str], Any]:
    name, arguments = KINDS[kind]
    if kind.startswith("char_"):
        import nlpaug.augmenter.char as chars

        return getattr(chars, name)(  # type: ignore[no-any-return]
            **arguments, aug_word_p=rate, aug_word_max=None
        ).augment
    import nlpaug.augmenter.word as words

    augmenter = getattr(words, name)(**arguments, aug_p=rate, aug_max=None)
    if name == "SpellingAug":
        # Lists that were sets of strings, whose order differs in every process.
        augmenter.model.dict = {
            word: sorted(mistakes) for word, mistakes in augmenter.model.dict.items()
        }
    return augmenter.augment  # type: ignore[no-any-return]
