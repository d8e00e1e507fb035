"""Answers that are none, and questions that only look like one."""

from __future__ import annotations

import pytest

from llmaug.steps.asked import no_answer, unlike


@pytest.mark.parametrize(
    "answer",
    [
        "How can I help a teenager with depression?",
        "How can I help your child sleep?",
        "How may I assist with a birth at home?",
        "What can I help with at a shelter?",
        "What is the query optimizer of PostgreSQL?",
        "What is the task weighting in multi-task learning?",
        "What is the question mark used for?",
    ],
)
def test_a_question_about_something_is_an_answer(answer):
    assert not no_answer(answer)
    assert unlike(answer, asked="items", source="depression") == ""


@pytest.mark.parametrize(
    "answer",
    [
        "How can I help?",
        "How can I help you today?",
        "How may I assist you with this?",
        "What can I help",
        "How can I assist with your query?",
        "What is the question?",
        "What’s the task",
        "What is the query you'd like me to answer?",
        "What is your question about statins?",
        "I'm ready to help.",
    ],
)
def test_an_offer_of_help_or_a_call_for_the_task_is_none(answer):
    assert no_answer(answer)
    assert unlike(answer, asked="items", source="depression") == "refusal"
