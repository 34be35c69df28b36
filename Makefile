# make report   the two analyses in models/, each ending in a page under reports/
# make test     the tests;  make check: lint and types too
# make picture  the figure that the README shows, docs/_static/csto_change.svg, made anew
# make docs     the documentation site, build/docs/html/index.html; a warning is an error
# Every target first sets up .venv by itself. PYTHON=/path/to/python chooses the interpreter.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/installed
DOCS  := $(VENV)/installed-docs
PIP   := -m pip --disable-pip-version-check --quiet

SPECS := models/csto_published.toml models/two_wave_survey.toml

# A caller's Python settings must not reach the project's own environment.
unexport PYTHONHOME PYTHONPATH

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup report picture test docs lint types check constraints clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(STAMP)

report: $(STAMP)
	$(BIN)/bayes-listexp report $(SPECS)

picture: $(STAMP)
	$(BIN)/bayes-listexp report models/csto_published.toml --out build/picture
	cp build/picture/csto_published/figures/change.svg docs/_static/csto_change.svg

# tests/conftest.py says what stays in one process, and in which order it starts.
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --durations=40 --durations-min=3

docs: $(DOCS)
	$(BIN)/python -m sphinx -b html -j 2 -q -W --keep-going -d build/docs/doctrees docs build/docs/html

lint: $(STAMP)
	$(BIN)/python -m ruff check .

types: $(STAMP)
	$(BIN)/python -m mypy

check: lint types test

# Existing pins stay, new dependencies get one. Delete a line to move that package to its newest version.
constraints: $(BIN)/python
	rm -rf build/pins
	$(BIN)/python -m venv build/pins
	build/pins/bin/python $(PIP) install -c constraints.txt -e ".[test,docs,scale]"
	build/pins/bin/python -m pip list --disable-pip-version-check --format=freeze \
	    --exclude pip --exclude bayes-listexp --exclude bayes_listexp > build/pins/list.txt
	LC_ALL=C sort -f build/pins/list.txt > constraints.txt
	rm -rf build/pins

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV); the first time this takes a few minutes."
	@$(BIN)/python $(PIP) install -c constraints.txt -e ".[test]"
	@touch $@

$(DOCS): $(STAMP)
	@$(BIN)/python $(PIP) install -c constraints.txt -e ".[test,docs]"
	@touch $@

# Says where a usable interpreter is, or why this one is not; must run under any Python.
define PROBE
import sys
version = "Python %d.%d" % sys.version_info[:2]
if sys.version_info < (3, 12):
    print(version + ", too old")
    sys.exit(1)
try:
    import ensurepip, venv
except ImportError:
    print(version + " without venv or ensurepip (Debian, Ubuntu: apt-get install python%d.%d-venv)" % sys.version_info[:2])
    sys.exit(1)
print(sys.executable)
endef
export PROBE

# 3.12 comes first because the pins were made with it. Each candidate is run: one that is only on PATH need not work.
$(BIN)/python:
	@python=; tried=; \
	for candidate in $(PYTHON) python3.12 python3.13 python3.14 python3 python \
	        "$${PYENV_ROOT:-$${HOME:-}/.pyenv}"/versions/3.1[2-9]*/bin/python3; do \
	    command -v "$$candidate" >/dev/null 2>&1 || { tried="$$tried  $$candidate: not found\n"; continue; }; \
	    if answer=$$("$$candidate" -c "$$PROBE" 2>/dev/null); then python=$$answer; break; fi; \
	    tried="$$tried  $$candidate: $${answer:-does not run}\n"; \
	done; \
	if [ -z "$$python" ]; then \
	    printf "No usable Python: this project needs Python 3.12 or newer, with venv. Tried:\n%b" "$$tried" >&2; \
	    echo "Install one, or name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$python"; \
	"$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
