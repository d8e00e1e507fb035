"""Methods that expand a query with the help of what a first search finds.

They need an index (`--index`). Every passage is shown on one line, cut to 128 words, and its
instructions are not to be followed. The originals search with BM25; here the search is whichever
the index offers. Texts that are equal count once, and one that repeats the query counts as none.
"""

from __future__ import annotations

from llmaug.methods.method import method
from llmaug.methods.queries import written
from llmaug.plan import Step, both, then
from llmaug.steps.choose import Choose
from llmaug.steps.feedback import Feedback
from llmaug.steps.filters import Dedupe

# As the prompts reformer_choose and reformer_apply explain them.
PATTERNS = (
    "Semantic Clarification",
    "Contextual Expansion",
    "Generalization",
    "Location Specification",
    "Purpose Specification",
    "Temporal Adjustment",
    "Conceptual Shift",
    "Clarify Intent",
    "Contextual Restriction",
    "Clarify Subject",
)


@method
def lamer(*, n: int = 5, k: int = 10, temperature: float | None = None) -> Step:
    """Passages that answer the query, written after reading the `k` candidates of a first search.

    Shen et al. 2023, LameR (arXiv 2304.14233): M = 10 candidates, N = 5 answers. Departs
    in a prompt of our own wording, one for every collection, in that passages are cut to 128 words,
    and in that query and answers are put together apart from this method (there interleaved).
    """
    return Feedback("lamer", n=n, k=k, temperature=temperature) >> Dedupe()


@method
def csqe(*, n: int = 2, k: int = 10, temperature: float | None = None) -> Step:
    """Passages from the model's own knowledge, and sentences that it quotes from retrieved ones.

    Lei et al. 2024, CSQE (EACL, arXiv 2402.18031): `n` of each, from the `k` best
    passages cut to 128 tokens, temperature 1.0. Departs in that a quote must stand in a passage
    letter for letter, else it is dropped as "not in the passages" (there it is trusted), in that
    passages are cut by words, and in a prompt without the worked example. The quotes of one reply
    are one text.
    """
    return then(
        both(
            written("csqe_knowledge", asked="prose", n=n, temperature=temperature),
            Feedback("csqe", n=n, k=k, quoted=True, temperature=temperature),
        ),
        Dedupe(),
    )


@method
def thinkqe(
    *,
    rounds: int = 3,
    n: int = 2,
    k: int = 5,
    temperature: float | None = None,
    max_tokens: int | None = None,
) -> Step:
    """Passages written in rounds, each after reading `k` passages not shown before.

    Lei et al. 2025, ThinkQE (arXiv 2506.09260): every round searches with the query,
    repeated, and all that was written so far; temperature 0.7. For reasoning models, whose thinking
    is stripped. Departs in that a passage is left out only when it was shown before (there also
    when it was among the best two rounds ago), in that passages are cut to 128 words, and in a
    budget of 4,096 tokens a reply (there 32,768).
    """
    fed = Feedback(
        "thinkqe", n=n, k=k, rounds=rounds, temperature=temperature, max_tokens=max_tokens
    )
    return fed >> Dedupe()


@method
def reformer(*, k: int = 3, temperature: float | None = None) -> Step:
    """The query rewritten by one of ten patterns, chosen after reading the `k` best passages.

    Bigdeli et al. 2026, ReFormeR (arXiv 2604.01417): two chained calls, the second without the
    passages. The rewrite replaces the query there; how it is used is chosen apart from this method.
    Departs in rules and examples of our own for the patterns' published names, in temperature 0
    (there 0.1), and in that a reply without a pattern drops the query (there the first pattern
    is taken).
    """
    return then(
        Choose("reformer_choose", PATTERNS, field="pattern", k=k, temperature=temperature),
        written("reformer_apply", asked="prose", temperature=temperature),
    )
