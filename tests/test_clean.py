"""What `clean` takes off a model's reply, what it leaves alone, and what it drops."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaug.steps.clean import Clean, cleaned, is_refusal
from llmaug.testing_step import StepContext
from llmaug.text import Text

SOURCE = "The film was a mess from start to finish."
ANSWER = "From beginning to end, the movie was a disaster."

# Each reply holds ANSWER and something that a chat model put around it.
AROUND = [
    # lead-ins
    f"Here is a rewrite: {ANSWER}",
    f"Here is a rewrite:\n{ANSWER}",
    f"Here's a paraphrased version of the text:\n\n{ANSWER}",
    f"Here’s a paraphrase: {ANSWER}",
    f"Sure! Here's a paraphrased version:\n\n{ANSWER}",
    f"Sure, here is a rephrased version of the sentence: {ANSWER}",
    f'Certainly! Here is the rewritten review:\n\n"{ANSWER}"',
    f"Of course! Below is a more formal version of your text:\n{ANSWER}",
    f"Absolutely. Here are a few alternatives:\n1. {ANSWER}",
    f"Here is the reworded sentence.\n\n{ANSWER}",
    f'Here is a paraphrase of "{SOURCE}":\n{ANSWER}',
    f'Here is a rewritten version of the sentence "Title: a subtitle": {ANSWER}',
    f"Here you go! Here's the rewritten text: {ANSWER}",
    f"Sure!\n\n{ANSWER}",
    f"Sure, I can help with that!\n{ANSWER}",
    f"I've rewritten the sentence for you: {ANSWER}",
    f"I would paraphrase it like this: {ANSWER}",
    f"The following is a rewritten version: {ANSWER}",
    # labels
    f"Paraphrase: {ANSWER}",
    f"Paraphrased text: {ANSWER}",
    f"Paraphrased Sentence:\n{ANSWER}",
    f"Rewritten text: {ANSWER}",
    f"Rewrite: {ANSWER}",
    f"REWRITTEN: {ANSWER}",
    f"Re-written version: {ANSWER}",
    f'Rephrased review: "{ANSWER}"',
    f"Output: {ANSWER}",
    f"Output:\n{ANSWER}",
    f"Answer: {ANSWER}",
    f"Response: {ANSWER}",
    f"Assistant: {ANSWER}",
    f"Simplified: {ANSWER}",
    f"Formal version: {ANSWER}",
    f"New sentence: {ANSWER}",
    f"Version 1: {ANSWER}",
    f"Paraphrase 1: {ANSWER}",
    f"**Paraphrase:** {ANSWER}",
    f"**Paraphrase**: {ANSWER}",
    f"**Rewritten Text**\n\n{ANSWER}",
    f"### Rewritten text\n{ANSWER}",
    f"## Output\n\n{ANSWER}",
    f"The paraphrased text is: {ANSWER}",
    f"The rewritten sentence would be: {ANSWER}",
    f'The rephrased sentence is "{ANSWER}"',
    f"One possible paraphrase of the sentence is: {ANSWER}",
    f"A possible rewrite could be:\n\n{ANSWER}",
    f'The sentence "{SOURCE}" can be rephrased as: "{ANSWER}"',
    # notes behind the answer
    f"{ANSWER}\n\nLet me know if you need anything else!",
    f"{ANSWER}\n\nNote: I changed the tone slightly.",
    f"{ANSWER}\n\n(Note: I kept the meaning of the original.)",
    f"{ANSWER} (Note: the meaning is kept.)",
    f"{ANSWER}\n\n**Note:** This is a paraphrase.",
    f"{ANSWER}\n\nI hope this helps! Let me know if you want another.",
    f"{ANSWER} Let me know if you'd like me to make any changes!",
    f'{ANSWER}\n\nI replaced "film" with "movie" and kept the tone.',
    f"{ANSWER}\n\nThis version keeps the negative sentiment.",
    f"{ANSWER}\nExplanation: the sentence was reordered.",
    f"{ANSWER}\n\nWould you like another version?",
    f"{ANSWER}\n\nUser: Rewrite this: I liked it.\nAssistant: It pleased me.",
    f"{ANSWER}\n\n### Instruction:\nRewrite the next one.",
    f"{ANSWER}\n\nThis change from the original text makes the sentence more concise.",
    f"{ANSWER}\n\nThe revised text improves the original text's clarity.",
    f"{ANSWER}\n\nAlternatively, you could reframe the sentence to:\nThe film was bad.",
    f"{ANSWER}\n\nRewrite:",
    # quotes, fences, markers
    f'"{ANSWER}"',
    f"'{ANSWER}'",
    f"“{ANSWER}”",
    f"‘{ANSWER}’",
    f"«{ANSWER}»",
    f"„{ANSWER}“",
    f"「{ANSWER}」",
    f"`{ANSWER}`",
    f'"“{ANSWER}”"',
    f"```\n{ANSWER}\n```",
    f"```text\n{ANSWER}\n```",
    f"```\n{ANSWER}",
    f"Here is a rewrite:\n```\n{ANSWER}\n```\nLet me know if it helps.",
    f"**{ANSWER}**",
    f"*{ANSWER}*",
    f'**"{ANSWER}"**',
    f"- {ANSWER}",
    f"1. {ANSWER}",
    f'1) "{ANSWER}"',
    f"• {ANSWER}",
    f"<answer>{ANSWER}</answer>",
    f"  \n{ANSWER}\n\n",
    # the prompt or the source said again
    f"{SOURCE}\n\n{ANSWER}",
    f"{SOURCE}\n\nParaphrase: {ANSWER}",
    f"{SOURCE} -> {ANSWER}",
    f'"{SOURCE}"\n→ "{ANSWER}"',
    f"Original: {SOURCE}\nParaphrase: {ANSWER}",
    f'Original text: "{SOURCE}"\n\nRewritten text: "{ANSWER}"',
    f"Text: {SOURCE}\nRewrite: {ANSWER}",
    f"Rewrite the following review in other words:\n\n{SOURCE}\n\nRewrite: {ANSWER}",
    f"Paraphrase the text below. Keep the meaning.\n\nText: {SOURCE}\n\n{ANSWER}",
    f"Rewrite the following text in your own words:\n{ANSWER}",
    # reasoning and control tokens
    f"<think>\nThe user wants a rewrite.\n</think>\n\n{ANSWER}",
    f"<think></think>{ANSWER}",
    f"{ANSWER}\n<think>Was that good?</think>",
    f"Okay, a rewrite. Let me think.</think>\n{ANSWER}",
    f"<think>a</think><think>b</think> Paraphrase: {ANSWER}",
    f"{ANSWER}<|im_end|>",
    f"{ANSWER}</s>",
    f"{ANSWER}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnother",
    f"<|im_start|>assistant\n{ANSWER}<|im_end|>\n<|im_start|>user\nNext",
    f"assistant\n\n{ANSWER}",
    f"[/INST] {ANSWER}</s>",
    f"<|channel|>analysis<|message|>Rewrite.<|end|><|start|>assistant"
    f"<|channel|>final<|message|>{ANSWER}<|return|>",
    f"{ANSWER}<end_of_turn>\n",
]

# Ordinary answers that look a little like chatter: nothing may be taken off.
CONTENT = [
    "Here is the thing: the film never gets going.",
    "Here's why: nobody in it can act.",
    "Here is my verdict: skip it.",
    "Note to self: never watch this again.",
    "Sure, the film is a mess, but I laughed.",
    "Sure! I would watch it again.",
    "Great! Another mess of a film.",
    "Of course the ending is bad.",
    '"Yes," he said, "it is a mess."',
    '"Alien" is better than "Aliens"',
    "'Twas a mess, and so was the sequel.",
    "**Bad** film, **bad** acting",
    "1. The plot is bad.\n2. The acting is worse.",
    "- bad plot\n- bad acting",
    "1. The plot is bad. 2. The acting is worse.",
    "***** a mess of a film ****",
    "The plot: a mess. The acting: worse.",
    "Verdict: a mess.",
    "It starts at 10:30 and ends far too late.",
    "Let me know if you find a worse film.",
    "A bad film.\nI used to like this director.",
    "A bad film.\n\nI made it to the end, though.",
    "The revised edition is no better.",
    "My rewrite of the ending would have him live.",
    "I hope this director retires.",
    "I have rewritten my will: the actors get nothing.",
    "They rewrote the ending: he dies.",
    "映画は最初から最後までめちゃくちゃだった。",
    "3.5 stars is too much for this mess.",
    "Answer me this: who paid for it?",
    "Question everything you see in it.",
    "*** out of *****",
    "",
]

# The source speaks so itself: what would be chatter elsewhere is content here.
SAME_AS_SOURCE = [
    ('"Great film," they said.', '"Great movie," they said.'),
    ('"A great film."', '"A great movie."'),
    ("Answer: press the red button.", "Answer: push the red button."),
    ("Note: bring a coat.\nNote: it rains.", "Take a coat with you.\nNote: there is rain."),
    ("Thanks. Let me know if you need more.", "Thank you.\nLet me know if you need any more."),
    ("- a bad film", "- a terrible film"),
    ("**Warning** for hot water", "**Caution, water is hot**"),
    ("Use ```pip install x``` to install", "```pip install x```"),
    ("The <s> tag is old", "Do not use <s> any more"),
    ("Here is a rewrite: the same again", "Here is a rewrite: once more the same"),
    ("What is <think> for?", "Why is there <think>?"),
]

REFUSALS = [
    "I'm sorry, but I can't assist with that.",
    "I’m sorry, but I can’t help with that request.",
    "I am sorry, I cannot fulfill this request.",
    "Sorry, I can't do that.",
    "I'm sorry, but I can't",
    "I apologize, but I cannot rewrite this text.",
    "I apologize for the confusion, but I am unable to generate such content.",
    "I cannot provide a paraphrase of this text.",
    "I can't create content that is hateful.",
    "I'm unable to rewrite this sentence.",
    "I am not able to assist with this request.",
    "I'm not comfortable rewriting that. I cannot assist.",
    "I must decline this request.",
    "As an AI language model, I do not have opinions.",
    "As a large language model, I can't watch films.",
    "I'm just an AI, I don't have feelings.",
    "Unfortunately, I cannot paraphrase this text.",
    "I don't have the ability to watch films.",
    "It seems you haven't provided any text to paraphrase.",
    "It looks like you forgot to include the text.",
    "Please provide the text you would like me to rewrite.",
    "Could you please provide the sentence that you want paraphrased?",
    "I won't rewrite that.",
]

NO_REFUSALS = [
    "I can't help but love this movie.",
    "I cannot recommend it.",
    "I'm sorry I watched it.",
    "Sorry, but this is a bad film.",
    "Unfortunately, the plot makes no sense.",
    "I cannot complete my order.",
    "I can't create an account, what should I do?",
    "I'm sorry, but I can't find the settings page.",
    "I am unable to process the payment with my card.",
    "As an airline passenger, what may I carry?",
    "Please provide the tracking number.",
    "I will not do a second viewing.",
]


@pytest.mark.parametrize("reply", AROUND)
def test_chatter_around_an_answer_is_taken_off(reply: str) -> None:
    assert cleaned(reply, source=SOURCE) == ANSWER


@pytest.mark.parametrize("reply", CONTENT)
def test_content_stays(reply: str) -> None:
    assert cleaned(reply, source=SOURCE) == reply


@pytest.mark.parametrize(("source", "reply"), SAME_AS_SOURCE)
def test_what_the_source_has_too_stays(source: str, reply: str) -> None:
    assert cleaned(reply, source=source) == reply


@pytest.mark.parametrize(
    "reply",
    [
        "Here is a rewrite:",
        "Paraphrase:",
        '""',
        "```\n```",
        "<|im_end|>",
        "<think></think>",
        " \n ",
    ],
)
def test_chatter_without_an_answer_leaves_nothing(reply: str) -> None:
    assert cleaned(reply, source=SOURCE) == ""


@pytest.mark.parametrize(
    "reply", [SOURCE, f'"{SOURCE}"', f"Rewrite the following: {SOURCE}", f"Original: {SOURCE}"]
)
def test_an_echo_is_left_for_dedupe(reply: str) -> None:
    assert cleaned(reply, source=SOURCE) == SOURCE


PIECES = st.sampled_from(
    [
        SOURCE,
        ANSWER,
        "Sure!",
        "Here is a rewrite:",
        "Paraphrase:",
        "\n",
        "\n\n",
        " ",
        '"',
        "“",
        "”",
        "'",
        "**",
        "*",
        "```",
        "- ",
        "1. ",
        "<think>",
        "</think>",
        "<|im_end|>",
        "[/INST]",
        "</s>",
        "Note: I kept it.",
        "Let me know if",
        "Output:",
        "->",
        "assistant\n",
        "I'm sorry, but I can't",
        "<answer>",
        "</answer>",
        "x",
        ":",
        "Rewrite the text:",
        "can be rephrased as",
        "Original: ",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=8).map("".join), st.sampled_from([SOURCE, '"a"', "- x", "Note:"]))
def test_cleaning_twice_changes_nothing_more(reply: str, source: str) -> None:
    once = cleaned(reply, source=source)
    assert cleaned(once, source=source) == once
    assert len(once) <= len(reply)


@pytest.mark.parametrize(
    "hostile",
    [
        '"' * 4000,
        "\n" * 4000 + "x",
        "Sure, " * 800,
        "<think>" * 600,
        "Here is " * 600,
        "((((" * 900,
        "a\n> " * 1500,
        "<think>" * 5000 + "</reasoning>" * 5000,
        "- " * 9000,
        "Output: " * 5000,
        "<answer>" * 4000 + "</answer>" * 4000,
        (SOURCE + "\n") * 3000,
        "```" * 900,
        "1. " * 900,
        "can be " * 900,
        "<|im_end|>" * 400,
        "'“" * 2000,
    ],
)
def test_a_hostile_reply_costs_little_time(hostile: str) -> None:
    once = cleaned(hostile, source=SOURCE)
    assert cleaned(once, source=SOURCE) == once


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_refusal_is_seen(reply: str) -> None:
    assert is_refusal(reply, source=SOURCE)
    assert not is_refusal(reply, source=reply)


@pytest.mark.parametrize("reply", NO_REFUSALS)
def test_a_complaint_is_no_refusal(reply: str) -> None:
    assert not is_refusal(reply, source=SOURCE)


def kept_and_dropped(reply: str, **meta: str) -> tuple[list[Text], list[tuple[Text, str]]]:
    root = Text(SOURCE, id="r", root="r")
    variant = root.derive(reply, made_by="generate('x')@1", id="r/generate.0", **meta)
    ctx = StepContext(root=root)
    return asyncio.run(Clean().apply([root, variant], ctx)), ctx.drops


@pytest.mark.parametrize(
    ("reply", "meta", "reason"),
    [
        ("Paraphrase:", {}, "empty"),
        ("Sure!\nI'm sorry, but I can't help with that.", {}, "refusal"),
        ("The film was", {"finish": "length"}, "truncated"),
        ("<think>Let me see", {}, "truncated"),
        ("The film", {"finish": "content_filter"}, "refusal"),
    ],
)
def test_a_reply_without_an_answer_is_dropped(
    reply: str, meta: dict[str, str], reason: str
) -> None:
    kept, drops = kept_and_dropped(reply, **meta)
    assert [text.id for text in kept] == ["r"]
    assert [(text.text, why) for text, why in drops] == [(reply, reason)]


def test_a_cleaned_text_keeps_its_identity() -> None:
    kept, drops = kept_and_dropped(f'"{ANSWER}"', label="bad")
    assert not drops
    assert kept[1] == Text(ANSWER, "r/generate.0", "r", "generate('x')@1", {"label": "bad"})


def test_an_unchanged_text_is_the_same_object_and_inputs_pass() -> None:
    root = Text("\"I'm sorry, but I can't\"", id="r", root="r", meta={"finish": "length"})
    variant = Text(ANSWER, id="r/x.0", root="r", made_by="x()")
    ctx = StepContext(root=root)
    kept = asyncio.run(Clean().apply([root, variant], ctx))
    assert kept[0] is root
    assert kept[1] is variant
    assert not ctx.drops
