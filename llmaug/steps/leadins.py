"""The phrases with which chat models begin and end an answer, as patterns.

A lead-in must name a rewriting word ("Here is a paraphrase:") or be a short label known as such
("Output:"); "Here is the thing: …" is content.
"""

from __future__ import annotations

import re

# Words that only someone who rewrites says.
REWRITE = (
    r"(?:paraphras(?:e[ds]?|ings?)|re-?writ(?:e|es|ten|ings?)|re-?phras(?:e[ds]?|ings?)|"
    r"re-?word(?:ed|ings?)|reformulat(?:ed|ions?)|restate(?:d|ments?)|simplified|"
    r"(?:in)?formali[sz]ed|back-?translat(?:ed|ions?)|translat(?:ed|ions?)|revised|revisions?|"
    r"synthetic|hypothetical|augmented)"
)
# Words that mean a rewrite after "Here is".
WORK = rf"(?:{REWRITE}|versions?|variations?|variants?|alternatives?|summary|keywords?)"
NOUN = (
    r"(?:comment|content|document|form|input|line|message|output|paragraph|passage|query|"
    r"question|response|review|sentence|statement|text|title|tweet|variation|version)s?"
)
ARTICLE = (
    r"(?:a|an|another|casual|clear|clearer|concise|final|formal|informal|more|my|new|one|"
    r"polite|possible|shorter|simple|simpler|some|the|this|your|alternative)"
)
VERB = r"(?:is|are|reads|(?:would|could|can|might|may) be)"

# Anything on the line, with colons only inside double quotes: the source may be quoted there.
SPAN = r'(?:"[^"\n]*"|“[^”\n]*”|[^\n:"“”])'
MARK = r"[ \t]*(?:\*{1,3}|_{1,2})?[ \t]*"
COLON = rf"{MARK}:{MARK}(?:\s+|(?=[\"'“‘«`*])|$)"
OWN_LINE = rf"{MARK}[.!]?[ \t]*\n\s*"
START = r"(?:#{1,6}[ \t]*|>[ \t]*|[-*][ \t]+)?(?:\*{1,3}|_{1,2})?"
NUMBER = r"(?:[ \t]*#?\d{1,2})?(?:[ \t]*\([^()\n]{1,40}\))?"

AGREE = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|all right|great|"
    r"no problem|understood|got it|yes|gladly|definitely)"
)
HERE = r"(?:here(?:'s| is| are)|here you (?:go|are)[^\w\n]*(?:here(?:'s| is))?|below (?:is|are))"
SAID = (
    r"(?:this is|(?:the )?following (?:is|are)|i(?:'ve| have| would|'d|'ll| will| can| could)|"
    r"let me|let's)"
)
NAMED = rf"(?:{ARTICLE}[ \t]+){{0,4}}{REWRITE}(?:[ \t]+{NOUN}){{0,2}}{NUMBER}"
LABEL = (
    r"(?:(?:new|formal|informal|simple|simpler|casual|alternative|final|concise|shorter)"
    rf"[ \t]+{NOUN}"
    r"|(?:output|answer|response|assistant|reply|final answer|question|query|passage|summary|"
    rf"keywords|version|option|variation|variant|alternative|synonymous sentence)){NUMBER}"
)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


LEADINS = (
    # Sure! Here's a paraphrased version of the review:
    _pattern(
        rf"{START}(?:{AGREE}\b[^\n:]{{0,60}}?[,.!;—–-][ \t]*)?(?:{HERE}\b{SPAN}{{0,120}}?\b"
        rf"{WORK}\b|{SAID}\b{SPAN}{{0,80}}?\b{REWRITE}\b"
        rf"(?={SPAN}{{0,200}}?\b(?:it|this|that|you|your|{NOUN})\b)){SPAN}{{0,300}}?{COLON}"
    ),
    # the same without a colon, in a paragraph of its own
    _pattern(
        rf"{START}(?:{AGREE}\b[^\n:]{{0,60}}?[,.!;—–-][ \t]*)?{HERE}\b[^\n]{{0,120}}?\b"
        rf"{REWRITE}\b[^\n]{{0,120}}\n\s*\n\s*"
    ),
    # Here is a question that the passage answers: (an indefinite one; "the question" is content)
    _pattern(
        rf"{START}(?:{AGREE}\b[^\n:]{{0,60}}?[,.!;—–-][ \t]*)?{HERE}[ \t]+(?:an?|one|some|\d+)"
        rf"\b{SPAN}{{0,60}}?\b(?:questions?|quer(?:y|ies)|passage|paragraph|document|answer)\b"
        rf"{SPAN}{{0,300}}?{COLON}"
    ),
    # Sure, I can help with that!
    _pattern(
        rf"{AGREE}(?:[,.!][ \t]*(?:i(?:'d| would|'ll| will| can)\b[^\n]{{0,60}}|here you go|"
        rf"happy to help|let me help[^\n]{{0,40}}))?[ \t]*[!.,:]*[ \t]*\n\s*"
    ),
    # One possible paraphrase of the sentence is:
    _pattern(
        rf"{START}{NAMED}(?:[ \t]+(?:of|for|in)\b{SPAN}{{1,300}}?)?(?:[ \t]+{VERB})?"
        rf"(?:[ \t]+as follows)?{COLON}"
    ),
    # The rewritten sentence would be "…"
    _pattern(rf"{START}{NAMED}(?:[ \t]+(?:of|for)\b{SPAN}{{1,300}}?)?[ \t]+{VERB}[ \t]+(?=[\"“])"),
    # "…" can be rephrased as: …
    _pattern(
        rf"{SPAN}{{0,300}}?\b(?:can|could|may|might) (?:also )?be {REWRITE} "
        rf"(?:as|to|like this)(?: follows)?(?:{COLON}|[ \t]+(?=[\"“]))"
    ),
    # Rewrite the following text in your own words:
    _pattern(
        rf"{START}(?:please )?(?:paraphrase|rewrite|rephrase|reword|restate|"
        rf"(?:translate|simplify)(?= (?:the|this) ))\b(?: {SPAN}{{1,200}}?)?{COLON}"
    ),
    # **Paraphrase**, ### Rewritten text
    _pattern(rf"{START}{NAMED}{OWN_LINE}"),
    _pattern(rf"{START}{LABEL}(?:{COLON}|(?<=\*)[ \t]*\n\s*)"),
    _pattern(rf"#{{1,6}}[ \t]*{LABEL}{OWN_LINE}"),
)

ORIGINAL = _pattern(
    rf"{START}(?:the )?(?:original|source|input|text|sentence|{NOUN})(?: {NOUN})?"
    rf"{MARK}:?{MARK}"
)

CHANGED = (
    r"(?:changed|replaced|rephrased|rewrote|reworded|kept|used|tried|made|preserved|"
    r"maintained|simplified|avoided|rewritten|paraphrased|removed|added|aimed)"
)
ABOUT = (
    r"(?=[^\n]{0,200}\b(?:words?|phras\w*|sentences?|tone|meaning|original|synonyms?|"
    r"structure|wording|language|vocabulary)\b)"
)

# Remarks on lines of their own behind the answer; `cue` is what the source must not say itself.
NOTES = re.compile(
    r"^[ \t>*_(\[]{0,8}(?P<cue>"
    r"note\b(?=[ \t]*[:*(–-])|notes:|please note|note that (?:i|this|the (?:re|para|above))|"
    r"(?:please )?let me know (?:if|what|whether|how)|"
    r"(?:i )?hope (?:this|that|it) (?:helps?|meets|works|is)|"
    r"feel free to (?:ask|let me|modify|adjust|change)|"
    r"would you like (?:me|another|more)|is there anything else|"
    rf"i(?:'ve|’ve| have)?(?: also)? {CHANGED}\b{ABOUT}|"
    r"(?:explanation|changes(?: made)?|key changes|reasoning|original(?: text| sentence)?)[*_]*:|"
    rf"(?:this|the) (?:above )?{REWRITE}(?: {NOUN})? (?:is|has|aims|avoids|captures|conveys|"
    r"expresses|improves|keeps|maintains|makes|means|preserves|provides|retains|uses)\b|"
    rf"this change\b{ABOUT}|"
    r"alternatively,? you (?:can|could|may|might) (?:also )?"
    r"(?:say|use|write|try|re\w+|paraphrase)\b|"
    r"(?:rewrite|paraphrase|output|answer)[*_]*:\s*\Z|"
    r"this (?:version|sentence|response) (?:keeps|maintains|preserves|conveys|captures|retains|"
    r"uses)\b|"
    rf"in this (?:version|{REWRITE})\b|"
    r"(?:user|human|instruction|input|question asked):|"
    r"#{2,6}[ \t]*(?:instruction|input|response|user|explanation|note)\b)",
    re.IGNORECASE | re.MULTILINE,
)
# The same as the last sentence of the answer's own line.
SPOKEN_NOTE = re.compile(
    r"[ \t](?P<cue>(?:please )?let me know if you)[^.\n]{0,80}\b(?:chang|version|variation|adjust|"
    r"re-?writ|re-?wor|paraphras|re-?phras|revis)[^.\n]*[.!?]*\Z",
    re.IGNORECASE,
)
# (Note: I kept the tone.)
BRACKETED_NOTE = re.compile(r"[(\[][ \t*]*note[ \t*]*:[^()\[\]]*[)\]]\Z", re.IGNORECASE)
