"""Methods that write queries for a passage, or another passage in its place.

Of a long passage they see the first `tokens`, as `cut` estimates them, and its whole title; what
they make says in the fields `tokens_kept` and `tokens_whole` how much of it was seen. Several
kinds of queries are several methods: `doc2query(n=2) + doc2query(kind='claim')`.
"""

from __future__ import annotations

from typing import Any

from llmaug.errors import PlanError, did_you_mean
from llmaug.methods.method import method
from llmaug.plan import Step, then
from llmaug.steps.clean import Clean
from llmaug.steps.cut import Cut
from llmaug.steps.few_shot_queries import ANY_QUERY, FewShotQueries
from llmaug.steps.filters import Dedupe
from llmaug.steps.generate import Generate
from llmaug.steps.not_shown import NotShown
from llmaug.steps.openings import FirstLine, FirstSentence

# The kinds of `doc2query` by name: the prompt of each, and where its answer ends.
KINDS: dict[str, tuple[str, Step]] = {
    "question": ("doc2query", FirstSentence()),
    "claim": ("doc2query_claim", FirstSentence()),
    "title": ("doc2query_title", FirstLine()),
    "keywords": ("doc2query_keywords", FirstLine()),
    "comparison": ("doc2query_comparison", FirstSentence()),
    "negated": ("doc2query_negated", FirstSentence()),
}


@method
def doc2query(
    *, n: int = 1, kind: str = "question", tokens: int = 256, temperature: float | None = None
) -> Step:
    """Queries that the passage answers: questions, or those of another `kind`.

    Nogueira et al. 2019, doc2query (arXiv 1904.08375), for the questions; the kinds claim, title
    and keywords after Tamber et al. 2025, CADET (arXiv 2502.19712), who find that several kinds
    train better than any one; comparison (a question that sets two things of the passage against
    each other) and negated (a claim that the passage refutes, relevant where refuting counts, as
    in SciFact) are our own. Departs in that a chat model writes them after two or three worked
    examples of ours in place of a model trained on MS MARCO, one query a reply, of which the
    first sentence counts, or the first line of titles and keywords. A model as small as
    SmolLM2-135M seldom negates: what it writes as negated is mostly a claim.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise PlanError(f"doc2query: unknown kind {kind!r}; {did_you_mean(str(kind), KINDS)}")
    prompt, opening = KINDS[kind]
    return _written(prompt, opening, n=n, tokens=tokens, temperature=temperature)


@method
def inpars(*, n: int = 1, tokens: int = 256, temperature: float | None = None) -> Step:
    """Questions that the passage answers, after examples of good and of bad questions.

    Bonifacio et al. 2022, InPars (arXiv 2202.05144), the prompt "guided by bad questions": three
    passages, each with a question that needs the passage and a poor one; passages cut at 256
    tokens, one question each. Departs in examples of our own (there of MS MARCO), in chat turns,
    in sampling at temperature 0.7 (there greedy, by which `n` questions would be one), and in
    that nothing is chosen by the model's own probabilities, which servers seldom give.
    """
    return _written("inpars", FirstSentence(), n=n, tokens=tokens, temperature=temperature)


@method
def promptagator(
    *,
    examples: str,
    task: str = ANY_QUERY,
    n: int = 8,
    k: int = 4,
    tokens: int = 256,
    temperature: float | None = None,
) -> Step:
    """Queries in the manner of in-domain examples, with the task described.

    Dai et al. 2022, Promptagator (arXiv 2209.11755): n = 8 at temperature 0.7, with 2 to 8
    examples of a collection's own queries and passages. `examples` is a file whose rows have a
    `query` and the `text` of a passage; `k` of them are shown, drawn by the run's seed, never one
    whose passage is the text itself. `task` says in a sentence or two what a query is here, such
    as "The query is a scientific claim that the passage supports or refutes." Its filter,
    `roundtrip`, is apart from this method. Departs in one prompt for all tasks (there a template
    each) and in that the passages of examples are cut at 128 tokens. Keep the queries of a test
    set out of the file.
    """
    asked = FewShotQueries("promptagator", examples, task=task, n=n, k=k, temperature=temperature)
    return then(Cut(tokens), asked, Dedupe())


@method
def passage_rewrite(*, n: int = 1, tokens: int = 256, temperature: float | None = None) -> Step:
    """The passage in other words, as one more passage to train on.

    In the manner of Maini et al. 2024, WRAP (arXiv 2401.16380), who rephrase web pages for
    pre-training. Departs in a prompt of our own with a worked example, and in that it is asked
    to keep facts, names and numbers, which nothing checks short of filters behind it, such as
    `numbers_kept` and `entities_kept`. Where a passage was cut, its end is not in the rewrite.
    No recipe uses it: the plan of a recipe writes queries.
    """
    return _written("passage_rewrite", tokens=tokens, n=n, temperature=temperature)


@method
def negative_passage(*, n: int = 1, tokens: int = 256, temperature: float | None = None) -> Step:
    """A passage that looks relevant to the text, a query or a passage, and does not answer it.

    No method or recipe uses it, since the evidence is against it: arXiv 2504.21015 (version 3,
    which reverses version 1) finds negatives written by a language model consistently worse for
    training than negatives mined from the corpus, and no better with a larger model; arXiv
    2606.01304 finds that adding them naively often makes a retriever worse. It is here so that
    this can be measured. Nothing checks that the passage is no answer.
    """
    return _written("negative_passage", tokens=tokens, n=n, temperature=temperature)


def _written(prompt: str, *openings: Step, tokens: int, **options: Any) -> Step:
    """What the prompt gives for the beginning of the passage, without what is no answer."""
    answers = then(Generate(prompt, **options), *openings, Clean("prose"))
    return then(Cut(tokens), answers, NotShown(prompt), Dedupe())
