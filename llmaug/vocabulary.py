"""The closed set of names that a plan may use: the steps and the methods of the literature."""

from __future__ import annotations

from collections.abc import Callable

from llmaug import notation
from llmaug.methods.corpus_fed import csqe, lamer, reformer, thinkqe
from llmaug.methods.documents import (
    doc2query,
    inpars,
    negative_passage,
    passage_rewrite,
    promptagator,
)
from llmaug.methods.labels import counterfactual, label_conditioned
from llmaug.methods.queries import (
    answer_first,
    genqr,
    genqr_ensemble,
    hyde,
    keywords,
    mugi,
    qa_expand,
    query2doc,
    query2e,
)
from llmaug.methods.query_rewrites import decompose, multi_query, rewrite_query, step_back
from llmaug.methods.rewrite import (
    back_translate,
    elaborate,
    formalise,
    icr,
    paraphrase,
    simplify,
    style_match,
    summarise,
)
from llmaug.plan import Step
from llmaug.steps.choose import Choose as choose
from llmaug.steps.clean import Clean as clean
from llmaug.steps.cut import Cut as cut
from llmaug.steps.edit import Edit as edit
from llmaug.steps.feedback import Feedback as feedback
from llmaug.steps.few_shot import FewShot as few_shot
from llmaug.steps.filters import Dedupe as dedupe
from llmaug.steps.filters import Length as length
from llmaug.steps.filters import Similar as similar
from llmaug.steps.generate import Generate as generate
from llmaug.steps.join import Join as join
from llmaug.steps.judge import Judge as judge
from llmaug.steps.keep import Keep as keep
from llmaug.steps.keeps_label import KeepsLabel as keeps_label
from llmaug.steps.kept import EntitiesKept as entities_kept
from llmaug.steps.kept import NumbersKept as numbers_kept
from llmaug.steps.nli import Nli as nli
from llmaug.steps.nlpaug import Nlpaug as nlpaug
from llmaug.steps.normalise import Normalise as normalise
from llmaug.steps.not_copied import NotCopied as not_copied
from llmaug.steps.openings import FirstLine as first_line
from llmaug.steps.openings import FirstSentence as first_sentence
from llmaug.steps.passages import Passages as passages
from llmaug.steps.rerank_first import RerankFirst as rerank_first
from llmaug.steps.rm3 import RM3 as rm3
from llmaug.steps.roundtrip import Roundtrip as roundtrip
from llmaug.steps.specific import Specific as specific
from llmaug.steps.stored import Stored as stored

__all__ = [
    "METHODS",
    "NAMES",
    "STEPS",
    "answer_first",
    "back_translate",
    "choose",
    "clean",
    "counterfactual",
    "csqe",
    "cut",
    "decompose",
    "dedupe",
    "doc2query",
    "edit",
    "elaborate",
    "entities_kept",
    "feedback",
    "few_shot",
    "first_line",
    "first_sentence",
    "formalise",
    "generate",
    "genqr",
    "genqr_ensemble",
    "hyde",
    "icr",
    "inpars",
    "join",
    "judge",
    "keep",
    "keeps_label",
    "keywords",
    "label_conditioned",
    "lamer",
    "length",
    "mugi",
    "multi_query",
    "negative_passage",
    "nli",
    "nlpaug",
    "normalise",
    "not_copied",
    "numbers_kept",
    "paraphrase",
    "parse",
    "passage_rewrite",
    "passages",
    "promptagator",
    "qa_expand",
    "query2doc",
    "query2e",
    "reformer",
    "rerank_first",
    "rewrite_query",
    "rm3",
    "roundtrip",
    "similar",
    "simplify",
    "specific",
    "step_back",
    "stored",
    "style_match",
    "summarise",
    "thinkqe",
]

STEPS: dict[str, Callable[..., Step]] = {
    "choose": choose,
    "clean": clean,
    "cut": cut,
    "dedupe": dedupe,
    "edit": edit,
    "entities_kept": entities_kept,
    "feedback": feedback,
    "few_shot": few_shot,
    "first_line": first_line,
    "first_sentence": first_sentence,
    "generate": generate,
    "join": join,
    "judge": judge,
    "keep": keep,
    "keeps_label": keeps_label,
    "length": length,
    "nli": nli,
    "nlpaug": nlpaug,
    "normalise": normalise,
    "not_copied": not_copied,
    "numbers_kept": numbers_kept,
    "passages": passages,
    "rerank_first": rerank_first,
    "rm3": rm3,
    "roundtrip": roundtrip,
    "similar": similar,
    "specific": specific,
    "stored": stored,
}
METHODS: dict[str, Callable[..., Step]] = {
    "answer_first": answer_first,
    "back_translate": back_translate,
    "counterfactual": counterfactual,
    "csqe": csqe,
    "decompose": decompose,
    "doc2query": doc2query,
    "elaborate": elaborate,
    "formalise": formalise,
    "genqr": genqr,
    "genqr_ensemble": genqr_ensemble,
    "hyde": hyde,
    "icr": icr,
    "inpars": inpars,
    "keywords": keywords,
    "label_conditioned": label_conditioned,
    "lamer": lamer,
    "mugi": mugi,
    "multi_query": multi_query,
    "negative_passage": negative_passage,
    "paraphrase": paraphrase,
    "passage_rewrite": passage_rewrite,
    "promptagator": promptagator,
    "qa_expand": qa_expand,
    "query2doc": query2doc,
    "query2e": query2e,
    "reformer": reformer,
    "rewrite_query": rewrite_query,
    "simplify": simplify,
    "step_back": step_back,
    "style_match": style_match,
    "summarise": summarise,
    "thinkqe": thinkqe,
}
NAMES = {**STEPS, **METHODS}


def parse(text: str | Step) -> Step:
    """The plan that a text says: `parse(str(p)) == p`. A plan is returned as it is.

    Raises `PlanError` naming the accepted names, with close matches.
    """
    return text if isinstance(text, Step) else notation.parse(text, NAMES)
