# Every target sets up what it needs in .venv; nothing else is assumed but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
# Tests run in so many processes of one thread each.
WORKERS ?= 2
export OMP_WAIT_POLICY := PASSIVE
export MPLBACKEND := Agg
# `make examples QUICK=1` runs every line of every example, on less data and for fewer steps.
ifdef QUICK
export TRIMVAE_QUICK := 1
endif

.PHONY: demo test test-slow test-oldest lint types examples docs wheel smoke benchmark \
	fashion dsprites lies planted-rules latent-models stylex stylex-gpu \
	check clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: .venv/installed
	$(BIN)/trimvae demo --out runs/demo --seed 0 --overwrite

test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m 'not slow'

# Damaged files by the ten thousand, ten minutes of everything in turns (or SOAK=SECONDS), and long
# training: about an hour on two cores.
SOAK ?= 600
test-slow: .venv/installed
	OMP_NUM_THREADS=1 TRIMVAE_SOAK_SECONDS=$(SOAK) $(BIN)/python -m pytest -m slow -s

# The same tests with the oldest release of everything that pyproject.toml allows, all at once.
# Old releases warn of what newer ones have mended, so that warnings are no errors here.
test-oldest: .venv-oldest/installed
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n $(WORKERS) -m 'not slow' -W default \
		--ignore tests/test_docs.py --ignore tests/test_house.py

.venv-oldest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	sed -n '/^dependencies/,/^]/s/^ *"\([a-z0-9-]*\)>=\([0-9.]*\).*/\1==\2/p' pyproject.toml \
		> .venv-oldest/constraints.txt
	.venv-oldest/bin/pip install --quiet --constraint .venv-oldest/constraints.txt \
		--editable '.[demo,flow]' 'build>=1.2' 'h5py>=3.10' 'hatchling>=1.27' 'hypothesis>=6.100' 'pytest>=8' 'pytest-xdist>=3.6'
	touch $@

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs/*.md attributions trimvae

types: .venv/installed
	$(BIN)/mypy

examples: .venv/installed
	$(BIN)/python -m examples
	$(BIN)/python -m examples.notebooks

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The wheel and the source distribution, in dist/. tests/test_wheel.py installs and uses them.
wheel: .venv/installed
	$(BIN)/python -m build --no-isolation

# Every benchmark at its smallest size: does it still run?
smoke: .venv/installed
	$(BIN)/python -m benchmarks.smoke

benchmark: .venv/installed
	$(BIN)/python -m benchmarks.training_step

# All of Fashion-MNIST, five seeds: about two hours on two cores. Debian's package
# dataset-fashion-mnist brings the files; `make fashion FASHION=FOLDER` names another folder.
FASHION ?= /usr/share/datasets/fashion-mnist
fashion: .venv/installed
	$(BIN)/python -m benchmarks.fashion_mnist --folder $(FASHION)

# dSprites with the published weights, 30 epochs (FactorVAE 60): for a GPU.
dsprites: .venv/installed
	$(BIN)/python -m benchmarks.disentanglement.dsprites

# Explanations that are known to be false, and honest ones: which are flagged? Five seeds that no bound
# was set on, about ten minutes each on a core.
lies: .venv/installed
	$(BIN)/python -m benchmarks.lies.run --seeds 30 31 32 33 34

# Does the explanation name the rule? Five seeds, about an hour on two cores. Then rules of other kinds
# and with several classes, and what independent axes make of the codes: two more.
planted-rules: .venv/installed
	$(BIN)/python -m benchmarks.planted_rules.run --seeds 20 21 22 23 24
	$(BIN)/python -m benchmarks.planted_rules.run --rules other --seeds 20 21 22 23 24
	$(BIN)/python -m benchmarks.axes.independent --seeds 22 23 24 25 26
	$(BIN)/python -m benchmarks.planted_rules.classes --seeds 10 11 12 13 14

# InfoGAN, ALAE and StyleGAN2 with their controls, and every code side by side, on Fashion-MNIST and on
# planted rules: about two hours on two cores. Needs the files of `make fashion`.
latent-models: .venv/installed
	$(BIN)/python -m benchmarks.latent_models.planted
	$(BIN)/python -m benchmarks.latent_models.generators

# StylEx with its control beside a VAE on Fashion-MNIST at 16 pixels: five seeds, about half an hour on a core.
stylex: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.latent_models.stylex

# The same on a folder of pictures (`folder/class name/any.png`) at 64 to 128 pixels. Needs a GPU; not run
# yet: make stylex-gpu PICTURES=folder SIDE=128
SIDE ?= 64
stylex-gpu: .venv/installed
	$(BIN)/python -m benchmarks.latent_models.stylex --images $(PICTURES) --side $(SIDE) --channels 64 \
		--epochs 100 --accelerator gpu --out runs/stylex_$(SIDE)

check: lint types docs examples test

clean:
	rm -rf .venv .venv-oldest runs site dist
