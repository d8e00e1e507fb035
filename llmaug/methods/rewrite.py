"""Methods that say the same in other words."""

from __future__ import annotations

from llmaug.methods.method import method
from llmaug.plan import Step, then
from llmaug.steps.clean import Clean
from llmaug.steps.generate import Generate


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
def icr(*, examples: str, k: int = 16, n: int = 1, temperature: float | None = None) -> Step:
    """In-context rewriting: the text rewritten so that it could stand among in-domain examples.

    O'Brien et al. 2024, LLM-TTA (arXiv 2402.08225). `examples` is a file of in-domain texts, of
    which `k` are drawn by the run's seed, the same for every row; their labels are not shown.
    Departs in that the draw is not stratified by class; each example is cut at 300 characters.
    """
    return Generate("icr", n=n, temperature=temperature, examples=examples, k=k) >> Clean()


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
def back_translate(
    *, via: str = "French", to: str = "English", n: int = 1, temperature: float | None = None
) -> Step:
    """The text translated to a pivot language and back: two calls for each variant.

    Sennrich et al. 2016 (arXiv 1511.06709) for the idea, here with one LLM for both ways in
    place of two translation models. The n variants differ in the first translation.
    """
    return then(
        Generate("back_translate", n=n, temperature=temperature, inputs={"language": via}),
        Clean(),
        Generate("back_translate", temperature=temperature, inputs={"language": to}),
        Clean(),
    )
