"""Mined pairs in a file: reused while nothing has changed, and finished after an interruption."""

from __future__ import annotations

import json

import pytest
from mining_corpus import Said, index_of, pairs_for, texts

from llmaug.errors import OutputError, RetrievalError
from llmaug.training import mine as mining
from llmaug.training.mine import mine
from llmaug.training.mined import read_mined
from llmaug.training.mined_file import mine_to
from llmaug.training.pairs import Pair
from llmaug.training.settings import MiningSettings

pytest.importorskip("faiss", reason="needs the extra retrieval")

CORPUS = texts()
PAIRS = pairs_for(CORPUS)
SETTINGS = MiningSettings(last=8, relative_margin=0.02)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return index_of(CORPUS, tmp_path_factory.mktemp("index") / "index")


@pytest.fixture
def blocks_of_8(monkeypatch):
    monkeypatch.setattr(mining, "BLOCK", 8)


def test_the_file_holds_what_mining_gives(index, tmp_path):
    made = mine_to(tmp_path / "m.jsonl", PAIRS, index, known={}, settings=SETTINGS)
    straight = mine(PAIRS, index, known={}, settings=SETTINGS)
    assert list(read_mined(made.path)) == list(straight)
    assert (made.account, made.reused) == (straight.account, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.jsonl", "m.jsonl.json"]


def test_it_is_reused_while_nothing_has_changed(index, tmp_path):
    path = tmp_path / "m.jsonl"
    known = {"q-d00": {"d08", "d16", "d24"}}
    made = mine_to(path, PAIRS, index, known=known, settings=SETTINGS)
    before = path.stat().st_mtime_ns
    again = mine_to(path, PAIRS, index, known={"q-d00": ["d24", "d16", "d08"]}, settings=SETTINGS)
    assert (again.reused, again.account) == (True, made.account)
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["pairs", "known", "settings", "teacher", "index", "file"])
def test_it_is_mined_anew_when_anything_has_changed(index, tmp_path, change):
    path = tmp_path / "m.jsonl"
    given = {"pairs": PAIRS, "known": {}, "settings": SETTINGS, "teacher": Said()}
    mine_to(path, index=index, **given)
    if change == "file":
        path.write_bytes(path.read_bytes() + b"\n")
    elif change == "index":
        index = index_of(CORPUS | {"new": "a red oven"}, tmp_path / "index")
    else:
        given[change] = {
            "pairs": [*PAIRS[1:], Pair("q-new", "loud camera", "d03")],
            "known": {"q-d00": ["d08"]},
            "settings": MiningSettings(last=8, seed=1),
            "teacher": Said(fingerprint="others"),
        }[change]
    assert not mine_to(path, index=index, **given).reused
    assert mine_to(path, index=index, **given).reused


def stop_at(number):
    def progress(stage, done, total):
        if done == number:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_file_is_finished_where_it_stopped(index, tmp_path, blocks_of_8):
    whole = mine_to(tmp_path / "whole.jsonl", PAIRS, index, known={}, settings=SETTINGS)
    path = tmp_path / "m.jsonl"
    for number in (16, 32):
        with pytest.raises(KeyboardInterrupt):
            mine_to(path, PAIRS, index, known={}, settings=SETTINGS, progress=stop_at(number))
        assert not path.exists()
    with (tmp_path / "m.jsonl.part").open("ab") as part:
        part.write(b'{"query_id": "torn')
    heard = []
    made = mine_to(
        path, PAIRS, index, known={}, settings=SETTINGS, progress=lambda *said: heard.append(said)
    )
    assert [done for _, done, _ in heard] == [32, 40]
    assert {total for _, _, total in heard} == {40}
    assert path.read_bytes() == whole.path.read_bytes()
    assert made.account == whole.account


def test_pairs_with_too_few_negatives_are_counted_over_an_interruption(tmp_path, blocks_of_8):
    small = texts(12)
    index, pairs = index_of(small, tmp_path / "index"), pairs_for(small) * 2
    asked = {"known": {"q-d01": [*small][2:], "q-d10": [*small][:9]}}
    whole = mine_to(tmp_path / "whole.jsonl", pairs, index, **asked)
    path = tmp_path / "m.jsonl"
    for number in (8, 16):
        with pytest.raises(KeyboardInterrupt):
            mine_to(path, pairs, index, **asked, progress=stop_at(number))
    made = mine_to(path, pairs, index, **asked)
    assert (made.account.pairs, made.account.too_few) == (20, 4)
    assert made.account == whole.account
    assert path.read_bytes() == whole.path.read_bytes()


def test_what_was_begun_with_other_settings_is_not_gone_on_with(index, tmp_path, blocks_of_8):
    path = tmp_path / "m.jsonl"
    with pytest.raises(KeyboardInterrupt):
        mine_to(path, PAIRS, index, known={}, settings=SETTINGS, progress=stop_at(32))
    others = MiningSettings(last=9, relative_margin=None)
    mine_to(path, PAIRS, index, known={}, settings=others)
    assert list(read_mined(path)) == list(mine(PAIRS, index, known={}, settings=others))


def test_a_manifest_that_is_none_means_mining_anew(index, tmp_path):
    path = tmp_path / "m.jsonl"
    mine_to(path, PAIRS, index, known={}, settings=SETTINGS)
    for content in ("", "[1]", json.dumps({"format": "llmaug mined pairs 1"})):
        (tmp_path / "m.jsonl.json").write_text(content)
        assert not mine_to(path, PAIRS, index, known={}, settings=SETTINGS).reused


def test_a_wrong_pair_stops_before_anything_is_mined_or_written(index, tmp_path, blocks_of_8):
    pairs = [*PAIRS, Pair("q-x", "old clock", "d99")]
    with pytest.raises(RetrievalError, match="q-x → d99"):
        mine_to(tmp_path / "m.jsonl", pairs, index, known={}, progress=stop_at(8))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(index, tmp_path):
    with pytest.raises(OutputError, match="does not exist; make it first"):
        mine_to(tmp_path / "gone" / "m.jsonl", PAIRS, index, known={})


def test_no_pairs_give_an_empty_file(index, tmp_path):
    made = mine_to(tmp_path / "m.jsonl", [], index, known={})
    assert list(read_mined(made.path)) == []
    assert made.account.pairs == 0
