# One command each; `make help` lists them. Needs Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
MODEL ?=
ARGS ?=
PYTEST_ARGS ?=
# Processes that share the tests; 0 is none but pytest's own, which a debugger needs.
WORKERS ?= 2

ifndef DEVICE
DEVICE := $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
endif

# The installation is made again when one of these files changes, and only then.
SETUP := pyproject.toml constraints/$(DEVICE).txt scripts/install.py $(sort $(wildcard serving/mend/*.py))
KEY := $(DEVICE)-$(shell cat $(SETUP) | cksum | tr ' ' '-')
INSTALLED := $(VENV)/.installed-$(KEY)
INSTALL := $(PYTHON) scripts/install.py --venv $(VENV) --device $(DEVICE)

# Spinning OpenMP threads make times vary tenfold on a shared machine; without the safe path, the
# folder `kernels` of a checkout passes for Hugging Face's library of that name.
TEST_ENV := OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 PYTHONSAFEPATH=1
# Plugins of the tools for conformance take four seconds to load, and nothing else asks for them.
UNUSED := $(addprefix -p no:,schemathesis hypothesispytest respx inline_snapshot time_machine anyio)
PYTEST := $(TEST_ENV) $(VENV)/bin/pytest $(UNUSED) --ignore=tests/conformance --ignore=tests/speech
# Each process has the threads of one core, or they would wait for each other.
SHARED := OMP_NUM_THREADS=1 $(PYTEST) -n $(WORKERS)

.DEFAULT_GOAL := help
.PHONY: help serve install check test compiled conformance speech measure-kernels fuzz lint pull clean

help:
	@echo "make serve        install, then serve the embedded models on http://$(HOST):$(PORT)"
	@echo "                  MODEL=path-or-id  DEVICE=cpu|cuda  HOST=  PORT=  ARGS='more options'"
	@echo "make check        lint, types and the fast tests"
	@echo "make test         make check, and the tests that start real engines"
	@echo "make compiled     every model family with its language model compiled by Inductor (14 CPU minutes)"
	@echo "make conformance  OpenAI's own client tests and schema checks against the server"
	@echo "make measure-kernels  on a GPU: test, tune, pin and time the kernels, also in a server"
	@echo "                  DRY=folder  a rehearsal on a CPU"
	@echo "make fuzz         twenty thousand spoilt media files through the media path (two minutes)"
	@echo "make speech       Whisper base beside openai-whisper and faster-whisper, on up to an hour (half an hour)"
	@echo "make install      install (again) into $(VENV), with the tools for development"
	@echo "make clean        remove $(VENV) and what the tools left"

serve: $(INSTALLED)-serve
ifeq ($(strip $(MODEL)),)
	@$(VENV)/bin/sensorium pull whisper-base || echo "serve: without whisper-base, see the line above"
endif
	@exec $(VENV)/bin/sensorium serve $(MODEL) --host $(HOST) --port $(PORT) $(ARGS)

# Asked for by name, it installs even where nothing has changed: that is how one repairs.
install:
	@$(INSTALL) --extras dev
	@rm -f $(VENV)/.installed-*
	@touch $(INSTALLED)-dev $(INSTALLED)-serve

check: $(INSTALLED)-dev lint
	$(SHARED) -m "not engine and not gpu" $(PYTEST_ARGS)

test: $(INSTALLED)-dev lint
	@sh scripts/test-packages.sh
	@$(VENV)/bin/sensorium pull whisper-base || echo "test: going on without whisper-base, see the line above"
	$(SHARED) -m "not gpu" $(PYTEST_ARGS)

compiled: $(INSTALLED)-dev
	SENSORIUM_TEST_INDUCTOR=1 $(PYTEST) tests/families -m engine -k "compiled and equal" $(PYTEST_ARGS)

conformance: $(INSTALLED)-conformance
	$(TEST_ENV) $(VENV)/bin/pytest tests/conformance $(PYTEST_ARGS)

# Everything about kernels that needs a GPU; docs/kernels.md says what it writes. DRY=folder goes
# through all of it on a CPU at tiny sizes, and writes there.
ifdef DRY
NATIVE := SENSORIUM_PROJECTION_KERNELS=reference $(PYTEST) tests/families/test_native.py -k qwen2_vl
OPERATORS := --device cpu --tiny --no-compile --out $(DRY)/kernels.json
SERVERS := --tiny --rounds 1 --requests 1 --concurrency 1 --out $(DRY)/kernels-servers.json
else
NATIVE := SENSORIUM_PROJECTION_KERNELS=triton $(PYTEST) tests/families/test_native.py
OPERATORS := --device cuda --pin kernels/configs --page docs/kernels.md \
	--out benchmarks/results/kernels.json
SERVERS := --out benchmarks/results/kernels-servers.json
endif

measure-kernels: $(INSTALLED)-dev
	$(PYTEST) tests/gpu/test_kernels.py $(PYTEST_ARGS)
	$(NATIVE) $(PYTEST_ARGS)
	$(TEST_ENV) $(VENV)/bin/python -m sensorium.benchmarks.kernels $(OPERATORS)
	$(TEST_ENV) $(VENV)/bin/python -P -m sensorium.benchmarks.kernels.servers $(SERVERS)

speech: $(INSTALLED)-speech
	@sh scripts/test-packages.sh
	@$(VENV)/bin/sensorium pull whisper-base
	$(TEST_ENV) SENSORIUM_SPEECH_LONG=1 $(VENV)/bin/pytest tests/speech -s -o timeout=3600 $(PYTEST_ARGS)

fuzz: $(INSTALLED)-dev
	SENSORIUM_FUZZ=20000 $(PYTEST) tests/serving/media/test_fuzz.py $(PYTEST_ARGS)

lint: $(INSTALLED)-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy scripts

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(INSTALLED)-serve:
	@$(INSTALL)
	@rm -f $(VENV)/.installed-*
	@touch $@

$(INSTALLED)-dev:
	@$(INSTALL) --extras dev
	@rm -f $(VENV)/.installed-*
	@touch $@ $(INSTALLED)-serve

$(INSTALLED)-conformance:
	@$(INSTALL) --extras dev,conformance
	@rm -f $(VENV)/.installed-*
	@touch $@ $(INSTALLED)-dev $(INSTALLED)-serve

$(INSTALLED)-speech:
	@$(INSTALL) --extras dev,speech
	@rm -f $(VENV)/.installed-*
	@touch $@ $(INSTALLED)-dev $(INSTALLED)-serve
