"""`clean`: from what a chat model said to the text that was asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from llmaug.errors import PlanError, did_you_mean
from llmaug.plan import Context, Step
from llmaug.steps.asked import ASKED, unlike
from llmaug.steps.chatter import cleaned, cut_in_reasoning
from llmaug.text import Text

__all__ = ["Clean", "cleaned"]

# What a model says it will not do to the text. Ordinary people cannot do things either ("I can't
# complete my order"), so a verb that a customer may use counts only with an object that a
# customer would not name.
_REFUSED = (
    r"(?:assist|comply|fulfil+|engage|rewrite|paraphrase|rephrase|reword|"
    r"help (?:you )?(?:with|to|in)|"
    r"(?:\w+ )?(?:answer|complete|create|do|discuss|generate|process|produce|provide|respond to|"
    r"satisfy|translate|write)"
    r"(?: \w+){0,5}? (?:this|that|your|such|the|an?) (?:\w+ ){0,3}?"
    r"(?:request|prompt|content|text|sentence|statement|material|task|paraphrase|rewrite|"
    r"query|output|passage|version)|"
    r"(?:create|generate|produce|provide|write) (?:\w+ )?content\b|"
    r"(?:assist|generat|paraphras|rephras|reword|rewrit)ing|"
    r"(?:do|say) (?:this|that)\b)"
)
_UNABLE = (
    r"i(?: \w+)? ?(?:can(?:no| ?')t|can not|could(?:n't| not)|won't|will not|'m (?:just )?"
    r"(?:unable|not able|not allowed|not comfortable) ?(?:to)?|am (?:unable|not able|not allowed|"
    r"not comfortable) ?(?:to)?|must (?:decline|refuse) ?(?:to)?|(?:do not|don't) feel comfortable)"
)
_SORRY = (
    r"(?:(?:i'?m|i am) (?:\w+ )?(?:sorry|afraid)|i apologi[sz]e|my apologies|apologies|sorry|"
    r"unfortunately)"
)
REFUSAL = re.compile(
    rf"(?:{_SORRY}[,.;:!]? ?(?:but |that |for [^.!?]{{1,60}}[.,] ?(?:but )?)?)?"
    rf"(?:{_UNABLE} (?:to )?{_REFUSED}"
    r"|i (?:must|have to) (?:decline|refuse)\b"
    r"|(?:as|i'm(?: just| only)?|i am(?: just| only)?) an? (?:ai\b|artificial intelligence|"
    r"(?:\w+ )?language model|virtual assistant)"
    r"|i (?:don't|do not) have (?:(?:the )?(?:ability|capability) to|"
    r"access to the (?:text|original))"
    r"|(?:it )?(?:seems|looks|appears) (?:like |that )?(?:you (?:haven't|have not|didn't|did not|"
    r"forgot to) (?:\w+ )?(?:provide|include|share|give)|(?:the|your) (?:text|message|sentence) "
    r"(?:is|was) (?:missing|empty|cut off))"
    r"|(?:please|could you|can you) (?:please )?(?:provide|share|send|give)(?: me)?(?: with)? "
    r"(?:the|a|your) (?:\w+ )?(?:text|sentence|passage|review|paragraph|statement)\b"
    r"|you (?:haven't|have not|didn't|did not) (?:provide|include|share)d? (?:the|a|any) "
    r"(?:\w+ )?(?:text|sentence|passage))"
    rf"|{_SORRY}[,.;:!]? ?(?:but )?{_UNABLE}[.!…]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, repr=False)
class Clean(Step):
    """Strip what a chat model puts around its answer, and drop answers that are none.

    Stripped: see `llmaug.steps.chatter`. Dropped: "truncated" (the field `finish` says "length",
    or the reasoning never ends), "empty" (nothing is left), "refusal" (a refusal, a request for
    the text, or a reply that the server filtered). What the input itself has or says is content
    and stays. An echo of the input is left to `dedupe`. A cleaned text keeps its id and `made_by`.

    `asked` says what the prompt asked for, "prose" (running text) or "items" (of a list). Then
    also dropped: "heading" (one line that ends with a colon or begins with #), "list" (where
    prose was asked for), "other script" (most letters are of scripts that the input does not
    use, such as a Russian answer to an English query), and as a "refusal" what says that it does
    not know or asks for the task.
    """

    asked: str = ""

    def check(self) -> None:
        if self.asked not in ASKED:
            raise PlanError(
                f"{self}: unknown value {self.asked!r} for asked; "
                + did_you_mean(str(self.asked), ASKED[1:])
            )

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        kept = []
        for text in texts:
            if not text.made_by:
                kept.append(text)
                continue
            answer = cleaned(text.text, source=ctx.root.text)
            reason = _unusable(text, answer, ctx.root.text)
            if self.asked and not reason:
                reason = unlike(answer, asked=self.asked, source=ctx.root.text)
            if reason:
                ctx.drop(text, reason)
            else:
                kept.append(text if answer == text.text else replace(text, text=answer))
        return kept


def _unusable(text: Text, answer: str, source: str) -> str:
    """Why a reply is no answer; "" when it is one."""
    if text.meta.get("finish") == "length" or cut_in_reasoning(text.text, source):
        return "truncated"
    if text.meta.get("finish") == "content_filter":
        return "refusal"
    if not answer:
        return "empty"
    return "refusal" if is_refusal(answer, source=source) else ""


def is_refusal(answer: str, *, source: str) -> bool:
    """Whether a model declines or asks for the text, where the source does not begin so."""
    return bool(_refuses(answer)) and not _refuses(source)


def _refuses(text: str) -> re.Match[str] | None:
    return REFUSAL.match(" ".join(text[:400].replace("’", "'").split()))
