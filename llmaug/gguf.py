"""Turning a GGUF file into a folder that transformers and vLLM both read.

Runs as a program of its own (`python -m llmaug.gguf FILE FOLDER`), so that the progress bars,
warnings and memory of the conversion stay out of the process that asked for it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from llmaug.errors import MissingExtra, ModelError

NEEDED = ("torch", "transformers", "gguf", "accelerate")


def check_installed() -> None:
    """Raise `MissingExtra` when a package that the conversion needs is absent."""
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "transformers")


def convert(file: Path, folder: Path) -> None:
    """De-quantise a Llama-family GGUF file into bf16 safetensors with its tokenizer."""
    check_installed()
    done = subprocess.run(
        [sys.executable, "-m", "llmaug.gguf", str(file), str(folder)],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise ModelError(f"cannot convert {file.name} to safetensors: {last}")


def write_safetensors(file: Path, folder: Path) -> None:
    """What the program does; needs about 1 GB of memory for 135 million parameters."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    read = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.bfloat16
    )
    # save_pretrained refuses a model that was loaded from GGUF, so a plain one takes its weights.
    settings = read.config.to_dict()
    for loaded_from_gguf in ("quantization_config", "_model_name_or_path"):
        settings.pop(loaded_from_gguf, None)
    plain = LlamaForCausalLM(LlamaConfig.from_dict(settings)).to(torch.bfloat16)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(folder)

    tokenizer.model_max_length = read.config.max_position_embeddings
    if _pre_tokenizer_name(file) == "smollm":
        _split_digits(tokenizer)
    tokenizer.save_pretrained(folder)


def _pre_tokenizer_name(file: Path) -> str:
    """Which way of cutting text into words the file asks for (`tokenizer.ggml.pre`)."""
    from gguf import GGUFReader

    field = GGUFReader(file).fields.get("tokenizer.ggml.pre")
    return str(field.contents()) if field else ""


def _split_digits(tokenizer: object) -> None:
    """Cut every digit off before merging, as SmolLM2 was trained.

    transformers ignores `tokenizer.ggml.pre`, and then spaces before a digit become wrong tokens.
    """
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[attr-defined]
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


if __name__ == "__main__":
    write_safetensors(Path(sys.argv[1]), Path(sys.argv[2]))
