"""`normalise`: which noise is undone, and what stays as it is."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaug.steps.normalise import Normalise, normalised
from llmaug.testing_step import StepContext, check_step
from llmaug.text import Text


def applied(text: str) -> tuple[list[Text], list[tuple[Text, str]]]:
    root = Text(text, id="r", root="r")
    ctx = StepContext(root=root)
    return asyncio.run(Normalise().apply([root], ctx)), ctx.drops


@pytest.mark.parametrize(
    ("noisy", "plain"),
    [
        ("fish &amp; chips", "fish & chips"),
        ("I &amp;lt;3 it&#33;", "I <3 it!"),
        ("&amp;amp;amp;lt;b&amp;amp;gt;good&lt;/b&gt;", "good"),
        ("wonder<i>ful</i><br />next", "wonderful next"),
        ('<a href="http://x.org/?a=1">here</a>', "here"),
        ("It #39;s quot;good quot; amp; cheap", 'It\'s "good " & cheap'),
        ("ｈａｔｅ 𝐡𝐚𝐭𝐞 ⓗⓐⓣⓔ ﬁne", "hate hate hate fine"),
        ("ha\u200bte ha\u00adte h\u200date \u202eevil \x07", "hate hate hate evil"),
        ("h̶a̶t̶e̶ z̴̡a̵̢̛l̸̡g̶o", "hate zalgo"),
        ("cafe\u0301 na\u0131\u0308ve", "café naı\u0308ve"),
        ("I hаtе this раypal, lονe", "I hate this paypal, love"),
        ("h4te $tupid l0ve G00d n00b cla$$", "hate stupid love Good noob class"),
        ("k1ll he11o he1p b1ack stup1d", "kill hello help black stupid"),
        ("sh!t gre@t h@te", "shit great hate"),
        ("h a t e you", "hate you"),
        ("s.t.u.p.i.d idea, S-T-U-P-I-D", "stupid idea, stupid"),
        ("ThIs iS sO StUpId", "This is so stupid"),
        ("I HATE THIS BOOK! It is bad", "I hate this book! It is bad"),
        ("it was HORRIBLE to me", "it was horrible to me"),
        ("LOS ANGELES (AP) - THE STREET LAWYER won", "Los Angeles (AP) - the street lawyer won"),
        ("soooo nooo cooool realllly haaate pleaseee", "so no cool really hate please"),
        ("freeee tooo geee", "free too gee"),
        ("what!!!!! why??? no?!?!?! well.....", "what! why? no?! well..."),
        ("  a \t b\u00a0c \r\n d ", "a b c\nd"),
    ],
)  # fmt: skip
def test_noise_is_undone(noisy: str, plain: str) -> None:
    assert normalised(noisy) == plain


@pytest.mark.parametrize(
    "text",
    [
        "3D b2b B2B 4th 1st 2nd mp3 mp3s covid19 log4j i18n l10n a11y k8s Win32 win7 H2O R2D2",
        "US$ 5 for $100 $AAPL and 50%",
        "lunch@home wow!great stop!now",
        "NASA, the USA and NASDAQ like UNESCO",
        "I like WiFi, LaTeX, YouTube, iPhone and eBay",
        "e.g. i.e. a.m. U.S.A. J.R.R. U.N.E.S.C.O.",
        "options a b c d or A B C D",
        "III VIII XXX www xxx AAA book, free, bookkeeper",
        "TNFα in μm with αβ",
        "AT&T R&D a&not b &copy that x<y and a < b > c",
        "a mess from start to finish , but a charming one -lrb- n't `` yes '' ...",
        "café naïve Việt Straße Ærø São İstanbul",
        "Привет, как дела? ООО «Ромашка», SMSок 3D-модель, ооочень СРОЧНО НУЖНО ЗДЕСЬ",
        "你好，世界！哈哈哈哈，价格：１００元".replace("１００", "100"),
        "こんにちは。すごーーーい！",
        "مرحبا بكم في العالم\u200f (2024)",
        "می\u200cخواهم",
        "שָׁלוֹם עֲלֵיכֶם",
        "हिन्दी में क़िताब ज़िंदगी क्\u200dष",
        "สวัสดี\u200bครับ ที่นี่",
        "👨\u200d👩\u200d👧 1\ufe0f\u20e3",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "½ cup, Acme™, m², 20 ℃",
        "see https://X.org/SOOOO?a=1&copy=2 and www.H4te.com, FOO.B4RR@Bar.COM @JOHNNNN #SOOOO",
    ],
)
def test_what_is_no_noise_stays(text: str) -> None:
    assert normalised(text) == text


NOISE = [
    *(
        "&amp;",
        "&",
        "amp;",
        "lt;",
        "#39;s",
        "<b>",
        "<br",
        ">",
        "\u200b",
        "\u0336",
        "\u0301",
        "hаte",
    ),
    *("h4te", "$", "1", "@", "!", "?", ".", "...", " ", "  ", "\n", "A", "a", "oo", "I", "HATE"),
    *("http://x.y", "#tag", "@name", "&#97;mp;", "ﬁ", "İ", "ß", "LONDON", "(", "ThIs", "-", "'"),
]


@given(st.text(max_size=60) | st.lists(st.sampled_from(NOISE), max_size=14).map("".join))
def test_doing_it_again_changes_nothing(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once


def escaped(text: str, times: int) -> str:
    for _ in range(times):
        text = text.replace("#", "&#35;", 1)
    return text


def test_noise_under_noise_is_undone_but_not_without_end() -> None:
    assert normalised("&" + "&#97;mp;" * 40) == "&"
    assert normalised(escaped("&#60;", 8)) == "<"
    assert normalised(escaped("&#60;", 30)) == escaped("&#60;", 30)


@pytest.mark.parametrize(
    "part",
    [
        *("&amp;", "&&#97;mp;", "<b ", "<a href=", "a ", "a.", "A'", "1a", "a$", "aA ", "aaa"),
        *("\u0301", "@", "#1", "a@", "a@b.", "?!", "LONDON (", "ZzZz ", "аa", "\n ", "I "),
    ],
)
def test_hostile_texts_end(part: str) -> None:
    text = part * (40_000 // len(part))
    assert len(normalised(text)) <= len(text)


def test_two_hundred_thousand_characters_without_an_end() -> None:
    assert normalised("h4te" * 50_000 + "!") in ("hate" * 50_000 + "!", "h4te" * 50_000 + "!")


def test_a_variant_says_where_it_comes_from() -> None:
    [variant], drops = applied("I h4te it")
    assert (variant.text, variant.id, variant.made_by) == (
        "I hate it",
        "r/normalise",
        "normalise()",
    )
    assert not drops


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Nothing to do here.", "unchanged"),
        ("White  space \n alone ", "unchanged"),
        ("", "unchanged"),
        ("<br>\u200b", "empty"),
    ],
)
def test_what_gives_no_variant_is_dropped_with_a_reason(text: str, reason: str) -> None:
    variants, drops = applied(text)
    assert not variants
    assert [said for _, said in drops] == [reason]


def test_it_keeps_the_laws() -> None:
    check_step(Normalise(), names={"normalise": Normalise})
    assert str(Normalise()) == "normalise()"
