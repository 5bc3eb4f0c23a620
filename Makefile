BIN := .venv/bin
export MUJOCO_GL ?= $(shell cat .venv/mujoco_gl 2>/dev/null || echo egl)

.PHONY: setup demo test test-slow check format docs lock build clean

setup:  ## Python, system libraries, .venv with the locked packages; nothing to do the second time
	@scripts/setup.sh

demo: setup  ## an unseen mug and an unseen bottle, from the first look to the lift; ARGS="--seed=1 ..."
	$(BIN)/neuraltouch demo $(ARGS)

test: setup  ## the fast tests; ARGS="tests/objects -k mug"
	$(BIN)/pytest -m "not slow" $(ARGS)

test-slow: setup  ## the slow ones
	$(BIN)/pytest -m slow $(ARGS)

check: setup  ## lint, format, types, dependency arrows
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/pyright && $(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix && $(BIN)/ruff format

docs: setup  ## docs/environments/ from the environments' own tables
	$(BIN)/python scripts/environment_pages

lock: setup  ## requirements.lock from the pyproject.toml files; ARGS=--upgrade renews the pins too
	@scripts/lock.sh $(ARGS)

build: setup  ## wheels and sdists of every distribution into dist/, tested as installed
	@scripts/build.sh

clean:
	rm -rf .venv .tools dist
