"""llmaug: LLM-driven text and query augmentation, with proof of whether it helped.

    import llmaug as la
    for variant in la.augment("keep() + paraphrase(n=4)", ["the film was a mess"],
                              lm="transformers:smollm2-135m"):
        print(variant.text)

Every public name is loaded when it is first used, so that `import llmaug` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from llmaug.public_names import PUBLIC

__version__ = "0.1.0"
__all__ = sorted(PUBLIC)

if TYPE_CHECKING:
    from llmaug.backends import backend as backend
    from llmaug.backends.fake import FakeBackend as FakeBackend
    from llmaug.batch import augment_file as augment_file
    from llmaug.classify.classifiers import classifier as classifier
    from llmaug.classify.small import SmallClassifier as SmallClassifier
    from llmaug.classify.tta import TTAClassifier as TTAClassifier
    from llmaug.embedders.embed import embedder as embedder
    from llmaug.errors import LlmaugError as LlmaugError
    from llmaug.job import Job as Job
    from llmaug.plan import Step as Step
    from llmaug.request import Backend as Backend
    from llmaug.request import Classifier as Classifier
    from llmaug.request import Embedder as Embedder
    from llmaug.request import Message as Message
    from llmaug.request import Reply as Reply
    from llmaug.request import Request as Request
    from llmaug.request import Retriever as Retriever
    from llmaug.request import Sampling as Sampling
    from llmaug.retrieval.collection import Collection as Collection
    from llmaug.retrieval.compare import compare as compare
    from llmaug.retrieval.expand import search_expanded as search_expanded
    from llmaug.retrieval.expander import expander as expander
    from llmaug.retrieval.expansions import expand as expand
    from llmaug.retrieval.expansions import read_expansions as read_expansions
    from llmaug.retrieval.expansions import write_expansions as write_expansions
    from llmaug.retrieval.fuse import convex as convex
    from llmaug.retrieval.fuse import fuse as fuse
    from llmaug.retrieval.fuse import rrf as rrf
    from llmaug.retrieval.index import Index as Index
    from llmaug.retrieval.lexical import bm25 as bm25
    from llmaug.retrieval.measure import evaluate as evaluate
    from llmaug.retrieval.predictors import predictors as predictors
    from llmaug.retrieval.qrels import read_qrels as read_qrels
    from llmaug.retrieval.qrels import write_qrels as write_qrels
    from llmaug.retrieval.queries import read_queries as read_queries
    from llmaug.retrieval.queries import write_queries as write_queries
    from llmaug.retrieval.rankings import read_rankings as read_rankings
    from llmaug.retrieval.rankings import write_rankings as write_rankings
    from llmaug.retrieval.search import search as search
    from llmaug.retrieval.settings import Settings as Settings
    from llmaug.stream import augment as augment
    from llmaug.text import Text as Text
    from llmaug.text import read as read
    from llmaug.text import write as write
    from llmaug.training.mine import mine as mine
    from llmaug.training.mined import read_mined as read_mined
    from llmaug.training.mined import write_mined as write_mined
    from llmaug.training.pairs import Pair as Pair
    from llmaug.training.pairs import read_pairs as read_pairs
    from llmaug.training.pairs import write_pairs as write_pairs
    from llmaug.training.recipe import run_recipe as run_recipe
    from llmaug.training.recipe_file import read_recipe as read_recipe
    from llmaug.training.settings import GateSettings as GateSettings
    from llmaug.training.settings import LossSettings as LossSettings
    from llmaug.training.settings import MiningSettings as MiningSettings
    from llmaug.training.settings import TrainingSettings as TrainingSettings
    from llmaug.training.train import train as train
    from llmaug.vocabulary import answer_first as answer_first
    from llmaug.vocabulary import back_translate as back_translate
    from llmaug.vocabulary import choose as choose
    from llmaug.vocabulary import clean as clean
    from llmaug.vocabulary import counterfactual as counterfactual
    from llmaug.vocabulary import csqe as csqe
    from llmaug.vocabulary import cut as cut
    from llmaug.vocabulary import decompose as decompose
    from llmaug.vocabulary import dedupe as dedupe
    from llmaug.vocabulary import doc2query as doc2query
    from llmaug.vocabulary import edit as edit
    from llmaug.vocabulary import elaborate as elaborate
    from llmaug.vocabulary import entities_kept as entities_kept
    from llmaug.vocabulary import feedback as feedback
    from llmaug.vocabulary import few_shot as few_shot
    from llmaug.vocabulary import first_line as first_line
    from llmaug.vocabulary import first_sentence as first_sentence
    from llmaug.vocabulary import formalise as formalise
    from llmaug.vocabulary import generate as generate
    from llmaug.vocabulary import genqr as genqr
    from llmaug.vocabulary import genqr_ensemble as genqr_ensemble
    from llmaug.vocabulary import hyde as hyde
    from llmaug.vocabulary import icr as icr
    from llmaug.vocabulary import inpars as inpars
    from llmaug.vocabulary import join as join
    from llmaug.vocabulary import judge as judge
    from llmaug.vocabulary import keep as keep
    from llmaug.vocabulary import keeps_label as keeps_label
    from llmaug.vocabulary import keywords as keywords
    from llmaug.vocabulary import label_conditioned as label_conditioned
    from llmaug.vocabulary import lamer as lamer
    from llmaug.vocabulary import length as length
    from llmaug.vocabulary import mugi as mugi
    from llmaug.vocabulary import multi_query as multi_query
    from llmaug.vocabulary import negative_passage as negative_passage
    from llmaug.vocabulary import nli as nli
    from llmaug.vocabulary import nlpaug as nlpaug
    from llmaug.vocabulary import normalise as normalise
    from llmaug.vocabulary import not_copied as not_copied
    from llmaug.vocabulary import numbers_kept as numbers_kept
    from llmaug.vocabulary import paraphrase as paraphrase
    from llmaug.vocabulary import parse as parse
    from llmaug.vocabulary import passage_rewrite as passage_rewrite
    from llmaug.vocabulary import passages as passages
    from llmaug.vocabulary import promptagator as promptagator
    from llmaug.vocabulary import qa_expand as qa_expand
    from llmaug.vocabulary import query2doc as query2doc
    from llmaug.vocabulary import query2e as query2e
    from llmaug.vocabulary import reformer as reformer
    from llmaug.vocabulary import rerank_first as rerank_first
    from llmaug.vocabulary import rewrite_query as rewrite_query
    from llmaug.vocabulary import rm3 as rm3
    from llmaug.vocabulary import roundtrip as roundtrip
    from llmaug.vocabulary import similar as similar
    from llmaug.vocabulary import simplify as simplify
    from llmaug.vocabulary import specific as specific
    from llmaug.vocabulary import step_back as step_back
    from llmaug.vocabulary import stored as stored
    from llmaug.vocabulary import style_match as style_match
    from llmaug.vocabulary import summarise as summarise
    from llmaug.vocabulary import thinkqe as thinkqe


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'llmaug' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
