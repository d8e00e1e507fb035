"""Methods that say the same in other words."""

from __future__ import annotations

from collections.abc import Sequence

from llmaug.errors import PlanError
from llmaug.methods.method import method
from llmaug.plan import Step, both, then
from llmaug.steps.clean import Clean
from llmaug.steps.excerpts import check_whole
from llmaug.steps.few_shot import FewShot
from llmaug.steps.filters import Dedupe
from llmaug.steps.generate import Generate

PIVOTS = (
    "French",
    "German",
    "Spanish",
    "Italian",
    "Portuguese",
    "Dutch",
    "Swedish",
    "Polish",
    "Russian",
    "Chinese",
)
MOST_SENTENCES = 20


@method
def paraphrase(
    *, n: int = 1, temperature: float | None = None, max_tokens: int | None = None
) -> Step:
    """The text in other words, with the same meaning.

    O'Brien et al. 2024, LLM-TTA (arXiv 2402.08225), zero-shot paraphrase with n = 4. Departs in
    its temperature (0.7 here, 0.3 there) and in a prompt written for chat models.
    """
    return Generate("paraphrase", n=n, temperature=temperature, max_tokens=max_tokens) >> Clean()


@method
def icr(
    *,
    examples: str,
    k: int = 16,
    n: int = 1,
    pick: str = "seeded",
    label: str | None = None,
    temperature: float | None = None,
) -> Step:
    """In-context rewriting: the text rewritten so that it could stand among in-domain examples.

    O'Brien et al. 2024, LLM-TTA (arXiv 2402.08225). `examples` is a file of in-domain texts, of
    which `k` are shown: drawn by the run's seed, the same for every text as in the paper, or with
    `pick="nearest"` those most similar to the text (Liu et al. 2022, KATE, arXiv 2101.06804),
    which needs an embedder and is therefore not the default. `label` names the field of the
    file's labels, for equal numbers of each class; no label is shown. Departs in that each example
    is cut at 300 characters (there 31 tokens), in that the draw is by class only with `label`, in
    that a text is never shown itself, and in its temperature (0.7 here, 0.3 there).
    """
    return FewShot(
        "icr", examples=examples, k=k, n=n, pick=pick, label=label, temperature=temperature
    )


@method
def style_match(
    *,
    examples: str,
    k: int = 8,
    n: int = 1,
    pick: str = "seeded",
    label: str | None = None,
    temperature: float | None = None,
) -> Step:
    """The text in the style of in-domain examples, with every detail and its meaning kept.

    Song 2026, BA-TTA (TMLR, openreview xptPQVCy5X): where in-context rewriting may change details,
    and small models then change the label, only register and style are aligned. A reconstruction:
    the paper's prompt, number of examples and temperature are unknown to us; ours are our own.
    The examples are drawn as in `icr`.
    """
    return FewShot(
        "style_match", examples=examples, k=k, n=n, pick=pick, label=label, temperature=temperature
    )


@method
def simplify(*, n: int = 1, temperature: float | None = None) -> Step:
    """The text in plain words and short sentences.

    A zero-shot prompt of our own in the manner of text simplification with LLMs (Kew et al.
    2023, BLESS, arXiv 2310.15773).
    """
    return Generate("simplify", n=n, temperature=temperature) >> Clean()


@method
def formalise(*, n: int = 1, temperature: float | None = None) -> Step:
    """The text in formal, well-edited language: typos, slang and abbreviations resolved.

    A zero-shot prompt of our own for formality transfer (Rao and Tetreault 2018, GYAFC).
    """
    return Generate("formalise", n=n, temperature=temperature) >> Clean()


@method
def summarise(*, n: int = 1, sentences: int = 2, temperature: float | None = None) -> Step:
    """The main point of the text in at most so many sentences.

    A zero-shot prompt of our own in the manner of Goyal et al. 2022 (arXiv 2209.12356), who ask for
    a number of sentences. Departs in that attitude and voice of the text are to be kept, so that
    a classifier can judge the summary in place of the text.
    """
    if isinstance(sentences, bool) or not isinstance(sentences, int):
        raise PlanError(f"summarise: sentences={sentences!r} must be a whole number")
    if not 1 <= sentences <= MOST_SENTENCES:
        raise PlanError(f"summarise: sentences must be from 1 to {MOST_SENTENCES}")
    asked = {"sentences": sentences}
    return Generate("summarise", n=n, temperature=temperature, inputs=asked) >> Clean()


@method
def elaborate(*, n: int = 1, temperature: float | None = None) -> Step:
    """The text at more length, with what it only implies spelled out and nothing new added.

    A zero-shot prompt of our own in the manner of elaborative simplification (Srikanth and Li
    2021, arXiv 2010.10035). Departs in that the whole text is rewritten, and that facts from
    outside the text, which elaborations there may bring in, are forbidden.
    """
    return Generate("elaborate", n=n, temperature=temperature) >> Clean()


@method
def back_translate(
    *,
    via: str | Sequence[str] = PIVOTS,
    to: str = "English",
    n: int = 1,
    temperature: float | None = None,
) -> Step:
    """The text translated to a pivot language and back: two calls for each variant.

    Sennrich et al. 2016 (arXiv 1511.06709) for the idea, here with one LLM for both ways in
    place of two translation models. The n variants go through the first n languages of `via`, and
    then through them again; with one language they differ in the first translation. A pivot or
    variant that repeats another or the text is dropped, so there may be fewer than n.
    """
    languages = (via,) if isinstance(via, str) else via
    if not isinstance(languages, tuple | list) or not languages or not _are_names(*languages, to):
        raise PlanError(
            f"back_translate: via={via!r}, to={to!r}: via must be a language or a list of "
            "languages, to a language"
        )
    first = Generate("back_translate", n=n, temperature=temperature, inputs={"language": to})
    check_whole(first, most=10_000, n=n)
    ways = [
        _there_and_back(language, to, n=count, temperature=temperature)
        for i, language in enumerate(languages)
        if (count := n // len(languages) + (i < n % len(languages)))
    ]
    return then(both(*ways), Dedupe())


def _there_and_back(via: str, to: str, *, n: int, temperature: float | None) -> Step:
    return then(
        Generate("back_translate", n=n, temperature=temperature, inputs={"language": via}),
        Clean(),
        Dedupe(),
        Generate("back_translate", temperature=temperature, inputs={"language": to}),
        Clean(),
    )


def _are_names(*names: object) -> bool:
    return all(isinstance(name, str) and name.strip() for name in names)
