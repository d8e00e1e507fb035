"""Methods that expand a query by what relevant documents may say: passages, answers, terms.

None reads the corpus. How what they write is used for a search is chosen apart from them, so a
method never repeats the query or weighs it. Prompts are in our own words.
"""

from __future__ import annotations

from typing import Any

from llmaug.errors import PlanError, did_you_mean
from llmaug.methods.method import method
from llmaug.plan import Step, both, then
from llmaug.steps.clean import Clean
from llmaug.steps.filters import Dedupe
from llmaug.steps.generate import Generate
from llmaug.steps.join import Join
from llmaug.steps.keep import Keep

HYDE_TASKS = ("web", "claim", "argument", "science", "finance", "entity", "news")
QUERY2DOC_STYLES = ("plain", "cot")
GENQR_WORDINGS = 10  # in the prompt `genqr`


def written(prompt: str, *, asked: str, **options: Any) -> Step:
    """What the prompt gives, cleaned, without echoes of the query and repetitions."""
    return then(Generate(prompt, **options), Clean(asked=asked), Dedupe())


@method
def hyde(*, n: int = 8, task: str = "web", temperature: float | None = None) -> Step:
    """Hypothetical documents: passages that would answer the query.

    Gao et al. 2023, HyDE (arXiv 2212.10496), section 3.2: n = 8 at temperature 0.7. `task` says
    what the collection holds, as in the paper's appendix: web, claim (SciFact), argument
    (ArguAna: the counter-argument), science (TREC-COVID), finance (FiQA), entity (DBpedia),
    news. Departs in passages of about 80 words (there up to 512 tokens), in the language of the
    query for every task (there a template for Mr. TyDi), and in that equal passages count once.
    """
    _one_of("hyde", "task", task, HYDE_TASKS)
    return written("hyde", asked="prose", n=n, temperature=temperature, inputs={"task": task})


@method
def query2doc(
    *,
    n: int = 1,
    style: str = "plain",
    examples: str | None = None,
    k: int = 4,
    temperature: float | None = None,
) -> Step:
    """A passage that answers the query.

    Wang et al. 2023, query2doc (arXiv 2303.07678), section 2. `examples` is a file of texts, each
    a query with its passage, of which `k` are shown. Departs in that without them it is zero-shot
    (Jagerman et al. 2023, arXiv 2305.03653, Q2D/ZS), that all queries see the same draw, that the
    passage has about 80 words (there 128 tokens, cut where they end), and in its temperature (0.7
    here, 1 there, at which small models write noise).

    `style="cot"` asks for the reasons before the answer (Jagerman et al. 2023, section 3, CoT,
    by chat models in place of Flan models; zero-shot as there).
    """
    _one_of("query2doc", "style", style, QUERY2DOC_STYLES)
    if style == "cot":
        if examples is not None:
            raise PlanError("query2doc: style='cot' shows no examples; leave one of the two out")
        return written("query2doc_cot", asked="prose", n=n, temperature=temperature)
    return written("query2doc", asked="prose", n=n, temperature=temperature, examples=examples, k=k)


@method
def mugi(
    *,
    n: int = 5,
    examples: str | None = None,
    k: int = 4,
    temperature: float | None = None,
) -> Step:
    """Several pseudo-references: passages that are relevant to the query.

    Zhang et al. 2024, MuGI (arXiv 2401.06311), section 3: n = 5 at temperature 1; few-shot with
    `examples`, a file of texts, each a query with its passage, of which `k` are shown. Departs
    in that the model's answer is not begun for it, in passages of about 80 words, and in that
    equal passages count once.
    """
    return written("mugi", asked="prose", n=n, temperature=temperature, examples=examples, k=k)


@method
def answer_first(*, n: int = 1, temperature: float | None = None) -> Step:
    """A short answer to the query.

    Mao et al. 2021, GAR (arXiv 2009.08553), section 3, the answer as generated context. Departs
    in that a chat model answers zero-shot in place of a BART model trained on question-answer
    pairs, and in that titles and sentences are not generated too.
    """
    return written("answer_first", asked="prose", n=n, temperature=temperature)


@method
def qa_expand(*, temperature: float | None = None) -> Step:
    """Answers to three questions about the query, filtered and rewritten: three calls.

    Seo et al. 2025, QA-Expand (arXiv 2502.08557), section 3: questions, pseudo-answers, and a
    feedback model that selects and rewrites; one text an answer that is kept. Departs in numbered
    lines in place of JSON, and in that the second call sees the query too. Where the questions
    or the answers are dropped (a refusal, a reply that was cut off), the next call works with
    what there is.
    """
    asked = Generate("qa_questions", temperature=temperature) >> Clean()
    answered = Generate("qa_answers", temperature=temperature) >> Clean()
    return then(
        Keep() + asked,
        Join("\n\nQuestions:\n"),
        Keep() + answered,
        Join("\n\nAnswers:\n"),
        written("qa_filter", asked="items", temperature=temperature),
    )


@method
def keywords(*, n: int = 1, temperature: float | None = None) -> Step:
    """Search terms for the query, one text a term.

    Jagerman et al. 2023 (arXiv 2305.03653), section 3, Q2E/ZS. Departs in that each term is a
    text of its own; `n` counts replies, each of which holds several terms.
    """
    return written("keywords", asked="items", n=n, temperature=temperature)


@method
def query2e(
    *,
    n: int = 1,
    examples: str | None = None,
    k: int = 4,
    temperature: float | None = None,
) -> Step:
    """Search terms for the query, together as one text.

    Jagerman et al. 2023 (arXiv 2305.03653), section 3: Q2E with `examples`, a file of texts,
    each a query with its keywords, of which `k` are shown; Q2E/ZS without. Departs in that a
    term counts once, and that the terms of `n` replies are put together.
    """
    return then(
        written("keywords", asked="items", n=n, temperature=temperature, examples=examples, k=k),
        Join(", "),
    )


@method
def genqr(*, n: int = 1, temperature: float | None = None) -> Step:
    """Expansion terms for the query, together as one text.

    Wang et al. 2023, generative query reformulation (arXiv 2308.00415), zero-shot. Departs in
    that a chat model is asked in place of Flan-T5, for at most ten terms, each counted once.
    """
    return _terms(0, n=n, temperature=temperature)


@method
def genqr_ensemble(*, temperature: float | None = None) -> Step:
    """Expansion terms by ten instructions to the same end, one text an instruction: ten calls.

    Dhole and Agichtein 2024, GenQREnsemble (arXiv 2404.03746), section 3, at temperature 0.92.
    Departs in the instructions, which are ours; the terms of each stay apart, so that they can
    be put together as there or searched one by one (GenQRFusion, arXiv 2405.17658).
    """
    return then(
        both(*(_terms(i, temperature=temperature) for i in range(GENQR_WORDINGS))), Dedupe()
    )


def _terms(wording: int, **options: Any) -> Step:
    listed = written("genqr", asked="items", inputs={"wording": wording}, **options)
    return then(listed, Join(", "))


def _one_of(method: str, argument: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise PlanError(
            f"{method}: unknown {argument} {value!r}; " + did_you_mean(str(value), accepted)
        )
