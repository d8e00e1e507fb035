"""`rerank_first`: whether a cross-encoder, too, finds a query's own passage the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.steps.relevance import check_folder, fingerprint, relevance
from llmaug.steps.roundtrip import check_depth
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class RerankFirst(Step):
    """Keep the variants whose input a cross-encoder puts first among the passages they find.

    `model` is the folder of a cross-encoder for ranking: a transformers sequence classifier with
    one output in safetensors format. It compares the input with the `k` best passages of the
    index for the variant, each with its title before it, whether or not the input is among them;
    an equal score is no defeat. Dropped as "not ranked first"; survivors carry their own score as
    the field `relevance`, rounded to four places, which is also what is compared: raw, on the
    model's own scale. Tamber et al. 2025, CADET (arXiv 2505.19274); inputs pass.
    """

    model: str
    _: KW_ONLY
    k: int = 10

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"index"})

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({"relevance"})

    def check(self) -> None:
        check_depth(self, self.k)
        if not isinstance(self.model, str) or not self.model:
            raise PlanError(f"{self}: model must be the name of a folder")
        check_folder(self._folder())

    def _folder(self) -> Path:
        return Path(self.model).expanduser()

    def fingerprints(self) -> Mapping[str, str]:
        return {f"rerank_first:{self.model}": fingerprint(self._folder())}

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        asked = [text.text for text in texts if text.made_by]
        if not asked:
            return texts
        found = await ctx.search(asked, self.k)
        # The input comes first, so that its score is at a known place.
        compared = [
            [ctx.root, *(passage for passage in passages if passage.id != ctx.root.id)]
            for passages in found
        ]
        pairs = [
            (query, titled(passage))
            for query, passages in zip(asked, compared, strict=True)
            for passage in passages
        ]
        folder = self._folder()
        scores = iter((await relevance(folder, fingerprint(folder))(pairs)).tolist())
        rows = iter([[round(next(scores), 4) for _ in passages] for passages in compared])
        kept = []
        for text in texts:
            if not text.made_by:
                kept.append(text)
                continue
            own, *others = next(rows)
            if own < max(others, default=own):
                ctx.drop(text, "not ranked first")
            else:
                kept.append(text.with_meta(relevance=own))
        return kept


def titled(passage: Text) -> str:
    """The passage as the index reads it: its title, a space, and its text."""
    title = passage.meta.get("title")
    return f"{title} {passage.text}".strip() if isinstance(title, str) else passage.text.strip()
