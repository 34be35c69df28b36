"""What may import what, what is not used at all, and what loading the package costs."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import bayes_listexp

SOURCE = Path(bayes_listexp.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
ROOMS = [
    "errors",
    "opening",
    "labelled",
    "priors",
    "columns",
    "tabulation",
    "binning",
    "population",
    "raking",
    "predictors",
    "instrument",
    "cells",
    "incomplete",
    "exclusions",
    "survey_design",
    "versions",
    "intake",
    "assembly",
    "experiment",
    "disclosure",
    "geography",
    "read",
    "scanning",
    "recoding",
    "weighting",
    "linearisation",
    "design_based",
    "standardised",
    "double_lists",
    "subgroups",
    "bounds",
    "lying",
    "sandwich",
    "responses",
    "reporting",
    "count_shapes",
    "cell_derivatives",
    "newton",
    "many_fits",
    "log_priors",
    "control_counts",
    "likelihood",
    "margins",
    "bound_margins",
    "structures",
    "grammar",
    "syntax",
    "formulas",
    "least_squares",
    "adjusted",
    "list_answers",
    "list_regression",
    "quick_likelihood",
    "two_step",
    "misspecification",
    "instruments",
    "multiple_tests",
    "list_arms",
    "no_design_effect",
    "list_and_direct",
    "overview",
    "quick_overview",
    "persons",
    "lists",
    "refusals",
    "specification",
    "shape_levels",
    "prediction",
    "panel",
    "group_effects",
    "model",
    "many_draws",
    "coordinates",
    "machine_code",
    "sampling",
    "importance",
    "predictive",
    "curvature",
    "stored",
    "verification",
    "fitting",
    "targets",
    "estimates",
    "coefficients",
    "tidy_frames",
    "changes",
    "group_worth",
    "comparison",
    "sensitivity",
    "representation",
    "checks",
    "published",
    "simulate",
    "simulated_direct",
    "simulated_nation",
    "planning",
    "spec_lines",
    "spec_dates",
    "spec_keys",
    "spec_data",
    "spec_margins",
    "spec_population",
    "spec_maps",
    "spec_simulation",
    "spec",
    "simulated_files",
    "tables",
    "markdown_tables",
    "word_tables",
    "regression_tables",
    "figures",
    "explorer",
    "report",
    "checks_report",
    "references",
    "instrument_text",
    "structure_text",
    "report_text",
    "survey_results",
    "survey_reading",
    "survey_weights",
    "survey_population",
    "survey_changes",
    "survey_course",
    "survey_maps",
    "survey_instruments",
    "survey_without_model",
    "quick_tables",
    "survey_pooling",
    "survey_robustness",
    "survey_priors",
    "withheld_rows",
    "survey_report",
    "comparison_page",
    "published_reading",
    "published_report",
    "reanalysis",
    "planning_report",
    "plan_options",
    "folders",
    "kept_fits",
    "batch",
    "many_runs",
    "fit_command",
    "gallery_command",
    "verify_command",
    "cli",
    "__main__",
]
"""The rooms in order: each imports from those before it, none from those after it. A folder is one room."""


def name_of(file):
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(file): file for file in FILES if file != SOURCE / "__init__.py"}


def module(dotted):
    """The module that an import names, which may end in the name of a function."""
    return dotted if dotted in MODULES else dotted.rpartition(".")[0]


def imports(file):
    """Modules of the package that a file imports anywhere, within functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {module(name.removeprefix("bayes_listexp.")) for name in names if name.startswith("bayes_listexp.")}
    return found - {""}


def room(name):
    return name.partition(".")[0]


def test_every_room_has_its_place():
    assert sorted({room(name) for name in MODULES}) == sorted(ROOMS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name):
    place = ROOMS.index(room(name))
    later = [
        other for other in imports(MODULES[name]) if room(other) != room(name) and ROOMS.index(room(other)) > place
    ]
    assert not later


def test_no_circles_within_a_room():
    graph = {name: imports(file) - {name} for name, file in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_no_module_of_odds_and_ends():
    assert not {"utils", "util", "helpers", "common", "misc", "base", "core"} & {file.stem for file in FILES}


def test_modules_are_short():
    assert {file.name: n for file in FILES if (n := len(file.read_text(encoding="utf-8").splitlines())) > 450} == {}


@pytest.mark.parametrize("name", MODULES)
def test_no_code_from_data_and_no_prints(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & {"pickle", "shelve", "marshal", "cloudpickle", "dill", "joblib"}
    assert "print" not in called or name == "cli" or name.endswith("_command")


@pytest.mark.parametrize("name", MODULES)
def test_no_blind_except(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    caught = [node.type for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    assert None not in caught
    assert not {"Exception", "BaseException"} & {node.id for node in caught if isinstance(node, ast.Name)}


HEAVY = {"pymc", "pytensor", "nutpie", "arviz", "matplotlib", "pandas", "scipy"}


@pytest.mark.parametrize(
    "code",
    [
        "import bayes_listexp",
        "import bayes_listexp; dir(bayes_listexp); bayes_listexp.InputError",
        "import bayes_listexp.cli as c\ntry: c.main(['--help'])\nexcept SystemExit as e: assert not e.code",
    ],
    ids=["import", "names", "help"],
)
def test_heavy_packages_are_loaded_when_needed(code):
    shown = f"import sys; print(*sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", f"{code}\n{shown}"], capture_output=True, text=True, check=True)
    assert run.stderr.split() == []


def test_public_names_are_there():
    for name in bayes_listexp.__all__:
        assert getattr(bayes_listexp, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        _ = bayes_listexp.fitt
