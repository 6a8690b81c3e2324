# Every target sets up what it needs in .venv; nothing else is assumed but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY := PASSIVE
export MPLBACKEND := Agg

.PHONY: demo test test-slow lint types examples docs benchmark fashion dsprites planted-rules latent-models check clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: .venv/installed
	$(BIN)/trimvae demo --out runs/demo --seed 0 --overwrite

test: .venv/installed
	$(BIN)/pytest -m 'not slow'

test-slow: .venv/installed
	$(BIN)/pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

examples: .venv/installed
	for example in examples/*.py $(filter-out %/small_run.py,$(wildcard examples/objectives/*.py)) examples/latent_models/*.py; do $(BIN)/python $$example || exit 1; done

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

benchmark: .venv/installed
	$(BIN)/python benchmarks/training_step.py

# All of Fashion-MNIST, three seeds: about an hour on two cores. Debian's package
# dataset-fashion-mnist brings the files; `make fashion FASHION=FOLDER` names another folder.
FASHION ?= /usr/share/datasets/fashion-mnist
fashion: .venv/installed
	$(BIN)/python benchmarks/fashion_mnist.py --folder $(FASHION)

# dSprites with the published weights, 30 epochs (FactorVAE 60): for a GPU.
dsprites: .venv/installed
	$(BIN)/python benchmarks/disentanglement/dsprites.py

# Does the explanation name the rule? Three seeds, about an hour on two cores.
planted-rules: .venv/installed
	$(BIN)/python benchmarks/planted_rules/run.py --seeds 0 1 2

# InfoGAN, ALAE and StyleGAN2 with their controls, and every code side by side, on Fashion-MNIST and on
# planted rules: about two hours on two cores. Needs the files of `make fashion`.
latent-models: .venv/installed
	$(BIN)/python benchmarks/latent_models/planted.py
	$(BIN)/python benchmarks/latent_models/generators.py

check: lint types test examples docs

clean:
	rm -rf .venv runs site dist
