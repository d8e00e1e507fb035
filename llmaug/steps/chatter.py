"""What chat models put around an answer, and taking it off.

Each function peels one kind: reasoning, control tokens, code fences, notes behind the answer, the
echoed prompt, lead-ins, quotes and markers around the whole. None adds a character, and what the
source has itself is content and stays.
"""

from __future__ import annotations

import re

from llmaug.control_tokens import CONTROL
from llmaug.steps.leadins import BRACKETED_NOTE, LEADINS, NOTES, ORIGINAL, SPOKEN_NOTE

MOST_LAYERS = 50

LEADIN_SIGN = re.compile(r"[:\n\"“]")  # every lead-in has one of these

OPENED = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
CLOSED = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
FINAL = re.compile(r"<\|channel\|>final(?:<\|constrain\|>\w*)?<\|message\|>")
TURN_END = re.compile(
    r"<\|(?:im_end|im_start|endoftext|eot_id|eom_id|end|end_of_text|return|user)\|>|</s>|<eos>|"
    r"<end_of_turn>|<start_of_turn>|<｜end▁of▁sentence｜>|\[INST\]"
)
HEADER = re.compile(
    r"(?:<\|(?:im_start|start|start_header_id)\|>|<start_of_turn>)?"
    r"(?:assistant|model)(?:<\|end_header_id\|>|[ \t]*\n)\s*"
)
TAG = re.compile(
    r"<(answer|final_answer|output|paraphrase|response|result|rewrite|rewritten|text)>"
    r"(.*)</\1>",
    re.DOTALL | re.IGNORECASE,
)
FENCE = re.compile(r"```(?:[\w+-]*[ \t]*\n)?(.*?)(?:```)?", re.DOTALL)
BULLET = re.compile(r"(?:[-*•–]|\(?\d{1,2}[.)])[ \t]+(?=\S)")
INSTRUCTION = re.compile(
    r"(?:please|rewrite|paraphrase|rephrase|reword|translate|simplify|restate|write|make|generate|"
    r"task|your task|you are|instructions?|given|the following|user|system|prompt)\b",
    re.IGNORECASE,
)
QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": "”",
    "‘": "’",
    "«": "»",
    "‹": "›",
    "„": "“”",
    "‚": "‘’",
    "»": "«",
    "「": "」",
    "『": "』",
    "《": "》",
    "”": "”",
}
MARKERS = ("***", "**", "__", "~~", "*", "_")


def cleaned(reply: str, *, source: str) -> str:
    """The answer in a model's reply to a request to rewrite `source`.

    May be "" when there is none. Cleaning an answer again changes nothing.
    """
    source = source.strip()
    for _ in range(MOST_LAYERS):
        shorter = reply
        for peel in PEELS:
            shorter = peel(shorter.strip(), source)
        if shorter == reply:
            return reply
        reply = shorter
    return ""  # a reply of nothing but layers, such as "- - - - …", holds no answer


def cut_in_reasoning(reply: str, source: str) -> bool:
    """Whether the reasoning in a reply never ends."""
    return (
        "<" in reply and not OPENED.search(source) and bool(OPENED.search(reply, _reasoned(reply)))
    )


def without_reasoning(reply: str, source: str) -> str:
    """What follows the reasoning, or comes before it where nothing does.

    Some chat templates put the tag that opens it into the prompt, so the reply only closes it.
    """
    if "<" not in reply or OPENED.search(source) or CLOSED.search(source):
        return reply
    if answer := OPENED.split(reply[_reasoned(reply) :], maxsplit=1)[0].strip():
        return answer
    return OPENED.split(CLOSED.split(reply, maxsplit=1)[0], maxsplit=1)[0]


def _reasoned(reply: str) -> int:
    """Where the last block of reasoning ends."""
    return max((closed.end() for closed in CLOSED.finditer(reply)), default=0)


def without_control_tokens(reply: str, source: str) -> str:
    """The first turn alone, without its header and without other tokens."""
    if CONTROL.search(source):
        return reply
    if "<" not in reply and "[" not in reply:
        header = HEADER.match(reply)
        return reply[header.end() :] if header else reply
    if finals := list(FINAL.finditer(reply)):
        reply = reply[finals[-1].end() :]
    if header := HEADER.match(reply):
        reply = reply[header.end() :]
    ends = [end.start() for end in TURN_END.finditer(reply) if reply[: end.start()].strip()]
    if ends:
        reply = reply[: ends[0]]
    return CONTROL.sub("", reply)


def without_fence(reply: str, source: str) -> str:
    """The content of one code fence or XML tag around the whole."""
    if reply[:1] not in ("<", "`"):
        return reply
    if (tag := TAG.fullmatch(reply)) and f"<{tag[1]}>" not in source:
        return tag[2]
    fences = reply.count("```")
    closed = fences == 2 and reply.endswith("```")
    if "```" not in source and (closed or fences == 1) and (fence := FENCE.fullmatch(reply)):
        return fence[1]
    return reply


def without_notes(reply: str, source: str) -> str:
    """The text before the remarks that a model adds about its own work."""
    lowered = source.casefold()
    for note in NOTES.finditer(reply):
        if reply[: note.start()].strip() and note["cue"].casefold() not in lowered:
            return reply[: note.start()]
    spoken = SPOKEN_NOTE.search(reply)
    if spoken and spoken["cue"].casefold() not in lowered and reply[: spoken.start()].strip():
        return reply[: spoken.start()]
    bracketed = BRACKETED_NOTE.search(reply)
    if bracketed and "note" not in lowered and reply[: bracketed.start()].strip():
        return reply[: bracketed.start()]
    return reply


def without_echo(reply: str, source: str) -> str:
    """What follows the prompt or the source where the reply repeats it first."""
    at = reply.find(source) if source else -1
    if at < 0 or reply == source:
        return reply
    before, after = reply[:at].rstrip(" \t\n\"'“‘`*"), reply[at + len(source) :]
    if (
        before
        and not ORIGINAL.fullmatch(before)
        and not (INSTRUCTION.match(before) and before.endswith((":", ".", "\n")))
    ):
        return reply
    answer = re.sub(r"\A[\"'”’`*]*\s*(?:->|=>|→|\n)\s*", "", after)
    if answer != after and answer.strip():
        return answer
    # Nothing but the prompt: the echo itself is left, for `dedupe`.
    return source if before and not after.strip(" \n\"'”’`*") else reply


def without_leadin(reply: str, source: str) -> str:
    """What follows "Here is a rewrite:", "Sure!" on its own line, "Paraphrase:" and the like."""
    if not LEADIN_SIGN.search(reply):
        return reply
    plain, plain_source = reply.replace("’", "'"), source.replace("’", "'")
    for leadin in LEADINS:
        found = leadin.match(plain)
        if found and not leadin.match(plain_source):
            return reply[found.end() :]
    return reply


def without_bullet(reply: str, source: str) -> str:
    """A list of one item without its bullet or number."""
    bullet = BULLET.match(reply)
    one_item = "\n" not in reply and not re.search(r"\s\(?\d{1,2}[.)]\s", reply[4:])
    if bullet and one_item and not BULLET.match(source):
        return reply[bullet.end() :]
    return reply


def without_markers(reply: str, source: str) -> str:
    """The text inside bold or italic markers around the whole."""
    if reply[:1] not in ("*", "_", "~"):
        return reply
    for marker in MARKERS:
        inner = reply[len(marker) : -len(marker)]
        wrapped = reply.startswith(marker) and reply.endswith(marker) and inner.strip() == inner
        nested = marker in inner or inner.strip(marker[0]) != inner
        if wrapped and inner and not nested and not source.startswith(marker):
            return inner
    return reply


def without_quotes(reply: str, source: str) -> str:
    """The text inside quotes around the whole, unless the source stands in quotes too."""
    return reply[1:-1] if _quoted(reply) and not _quoted(source) else reply


def _quoted(text: str) -> bool:
    """Whether the first and the last character are a pair of quotes around everything between."""
    if len(text) < 2 or text[0] not in QUOTES or text[-1] not in QUOTES[text[0]]:
        return False
    opening, inner = text[0], text[1:-1]
    if text[-1] != opening:
        return opening not in inner and text[-1] not in _without_apostrophes(inner)
    if opening == "`":
        return "`" not in inner
    # A straight quote opens and closes: '"Yes," he said, "no."' is not one quotation.
    inner = _without_apostrophes(inner) if opening == "'" else inner
    pieces = inner.split(opening)
    return len(pieces) % 2 == 1 and all(
        (not before or before[-1] in " \t\n(") and not inside[:1].isspace()
        for before, inside in zip(pieces[0::2], pieces[1::2], strict=False)
    )


def _without_apostrophes(text: str) -> str:
    return re.sub(r"(?<=\w)['’](?=\w)", "", text)


PEELS = (
    without_reasoning,
    without_control_tokens,
    without_notes,
    without_echo,
    without_leadin,
    without_fence,
    without_bullet,
    without_markers,
    without_quotes,
)
