"""Formulas, priors and specs cannot run anything, reach into Python, or ask for more than there is; what is dropped is refused."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_listexp
from bayes_listexp.errors import InputError
from bayes_listexp.formulas import design
from bayes_listexp.priors import parse_prior
from bayes_listexp.spec import read_spec, study_of
from bayes_listexp.syntax import parse, variables

PROOF = "proof-of-attack"
ATTACK = f"__import__('pathlib').Path('{PROOF}').touch()"
REFUSED = {
    ATTACK: "cannot be read",
    f"I({ATTACK})": "cannot be read",
    f"center({ATTACK})": "cannot be read",
    f"1 + {{{ATTACK}}}": "cannot be read",
    f"(1|{ATTACK})": "cannot be read",
    f"`{ATTACK}`": "reaches into Python",
    "eval('1')": "the function 'eval' is not allowed",
    "age + (1|exec('1'))": "the function 'exec' is not allowed",
    "C(region, levels=open('f'))": "the function 'open' is not allowed",
    "os.system(age)": "the function 'os.system' is not allowed",
    "np.load('f', allow_pickle=True)": "the function 'np.load' is not allowed",
    "log.__class__(age)": "the function 'log.__class__' is not allowed",
    "I(age.sum())": "the function 'age.sum' is not allowed",
    "log(age)(age)": "is not allowed",
    "age.__class__": "reaches into Python",
    "I(age.__class__)": "reaches into Python",
    "I(lambda: 1)": "':' has no meaning within a function",
    "[a for a in age]": "cannot be read",
    "age if age else sex": "a sign is missing before 'if'",
    "I(age and sex)": "cannot be read",
    "f'{age}'": "a sign is missing",
    "1 + age region": "a sign is missing before 'region'",
    "age[1]": "cannot be read",
    "region['a']": "picks a level",
    "(1|region)|sex": "effects are grouped once",
    "age > 60": "Put it within a function: I(age > 60)",
    "I(9 ** 9 ** 9 ** 9)": "a power must be a number of at most 20",
    "I(age ** 999999999)": "a power must be a number of at most 20",
    "I('a' * 999999999)": "no meaning for text",
    "poly(age, 999999)": "degree must be a number of at most 100",
    "bs(age, df=1000000000)": "df must be a number of at most 100",
    "bs(age, df=10 ** 9)": "df must be a number of at most 100",
    "(age + sex) ** 9999": "a power of terms must be a whole number from 1 to 20",
    " * ".join("abcdefghij"): "1,024 terms; at most 500",
    "(" * 3000 + "age" + ")" * 3000: "nested too deeply",
    "I(" * 300 + "age" + ")" * 300: "nested too deeply",
    "age:" * 1500 + "age": "too many signs",
    "age + " * 3000 + "age": "at most 10,000",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("formula", REFUSED)
def test_formulas_that_are_no_formulas_are_refused_before_anything_is_computed(formula, here):
    with pytest.raises(InputError) as refused:
        parse(formula)
    assert REFUSED[formula] in str(refused.value)
    assert not list(here.iterdir())


def test_a_refused_function_comes_with_those_that_are_allowed():
    with pytest.raises(InputError, match=r"Allowed are: .*center.*log.*scale.*after a '\|'.*rw1"):
        parse("np.log(age)")


@pytest.mark.parametrize("formula", ["1 + age + sex", "(a + b) ** 2 + {a - b}", "I(age ** 0.5) + I(2 ** age) + log(age + 1)",
                                     "0 + bs(age, df=4, degree=2)", "poly(age, 3) + scale(a)", "I(sex == 'f') + (1 + age|region:wave)",
                                     "(1|rw1(wave)) + (1|`мой регион`)", "+".join(f"x{i}" for i in range(250))])
def test_what_formulas_are_for_is_read(formula):
    assert parse(formula).terms


def test_names_of_python_and_of_the_caller_are_not_columns():
    frame = pd.DataFrame({"age": [20.0, 30, 40, 50]})
    secret = frame["age"] * 2
    for name in ("secret", "frame", "log", "np", "FUNCTIONS", "TRANSFORMS", "self", "data"):
        for formula in (name, f"I({name})", f"center({name})"):
            with pytest.raises(InputError, match=f"column '{name}' is not in the data"):
                variables(formula, list(frame.columns))
            with pytest.raises(InputError, match=f"column '{name}' is not in the data"):
                design(formula, frame, np.ones(4))
    assert secret.sum() == 280


@pytest.mark.parametrize("formula", ["poly(age, degree=2, raw=I(age))", "bs(age)", "bs(age, df=2)", "binary(age, 7)", "log(age, 2, 3, 4)"])
def test_arguments_that_a_function_cannot_take_are_an_error_of_ours(formula):
    with pytest.raises(InputError, match="one of them cannot be computed"):
        design(formula, pd.DataFrame({"age": [20.0, 30, 41, 57, 60, 72]}), np.ones(6))


SPEC = '[data]\nfile = "study.csv"\nanswer = "y"\narm = "arm"\nJ = 3\n{data}\n[model]\n{model}\n[report]\n{report}\n{more}\n'


@pytest.mark.parametrize("part", [
    {"model": f'trait = "{ATTACK}"'},
    {"model": f'control = "{ATTACK}"'},
    {"model": f'response = "{ATTACK}"'},
    {"model": f'counts = "{ATTACK}"'},
    {"model": f'lapses = {{ top = "{ATTACK}" }}'},
    {"report": f'alternatives = [{{ name = "other", trait = "{ATTACK}" }}]'},
    {"more": f'[priors]\ntrait_slope = "{ATTACK}"'},
    {"data": f'weights = "{ATTACK}"'},
    {"data": f'wave = "{ATTACK}"'},
    {"data": f'recode = {{ x = {{ "{ATTACK}" = ["a"] }} }}'},
    {"data": f'recode = {{ x = {{ a = ["{ATTACK}"] }} }}'},
    {"data": f'bins = {{ "{ATTACK}" = [1, 2] }}'},
    {"data": f'covariates = ["{ATTACK}"]'},
    {"more": f'[instruments.direct]\ncolumn = "{ATTACK}"'},
    {"more": f'[instruments.direct]\ncolumn = "y"\nkind = "{ATTACK}"'},
], ids=lambda part: " ".join(part) + " " + next(iter(part.values())).split("=")[0].strip("[]\n "))
def test_nothing_in_a_spec_is_run(part, here):
    (here / "study.csv").write_text("y,arm,x\n" + "1,0,a\n2,1,b\n" * 20)
    (here / "study.toml").write_text(SPEC.format(**{"data": "", "model": "", "report": "", "more": ""} | part))
    with pytest.raises(InputError):
        study_of(read_spec(here / "study.toml"))
    assert sorted(path.name for path in here.iterdir()) == ["study.csv", "study.toml"]


@pytest.mark.parametrize("text", [ATTACK, f"Normal(0, {ATTACK})", "Normal(0, [1 for _ in 'a'][0])", "Normal(0, (lambda: 1)())",
                                  "x.Normal(0, 1)", "Normal(0, 9 ** 9)", "Normal(" + "(" * 5000 + "1" + ")" * 5000 + ", 1)",
                                  "Normal(0, " + "-" * 50_000 + "1)", "Normal(0, 1" + "0" * 5000 + ")", "Normal(0, 1e999)"])
def test_priors_are_a_name_and_numbers(text, here):
    with pytest.raises(InputError, match="prior"):
        parse_prior(text)
    assert not list(here.iterdir())


FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
EVALUATED = {"os.system", "os.popen", "np.load", "numpy.load", "pd.eval", "frame.eval", "df.eval"}
ON_FRAMES = (".read_pickle", ".to_pickle", ".query")
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "subprocess", "socket", "ssl", "http",
                     "urllib", "requests", "ftplib", "smtplib", "telnetlib", "webbrowser", "ctypes", "fsspec", "s3fs", "aiohttp"}
SOURCE = Path(bayes_listexp.__file__).parent


def dotted(node):
    """A name with its dots, "" for what is none."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def forbidden(node):
    """Why a piece of code is forbidden, or nothing."""
    if isinstance(node, ast.Call):
        name = dotted(node.func)
        flags = [k.arg for k in node.keywords if k.arg in ("allow_pickle", "shell") and getattr(k.value, "value", True) is not False]
        is_call = name in FORBIDDEN_CALLS or name in EVALUATED or name.endswith(ON_FRAMES)
        return [name] * is_call + flags
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return [name for name in names if name.partition(".")[0] in FORBIDDEN_MODULES]


def test_no_module_unpickles_evaluates_text_starts_a_program_or_opens_a_connection():
    bad = "import pickle\nfrom urllib.request import urlopen\neval('1')\nos.system('ls')\nnp.load(f, allow_pickle=True)\npd.eval('x')"
    assert [word for node in ast.walk(ast.parse(bad)) for word in forbidden(node)] == [
        "pickle", "urllib.request", "eval", "os.system", "np.load", "allow_pickle", "pd.eval"]
    found = [(str(file.relative_to(SOURCE)), *forbidden(node)) for file in sorted(SOURCE.rglob("*.py"))
             for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if forbidden(node)]
    assert found == [("labelled.py", "subprocess")]  # one Python with a text of our own, which tries a file that may crash its library


def test_the_only_program_is_this_python_with_a_text_that_data_cannot_change():
    calls = [node for node in ast.walk(ast.parse((SOURCE / "labelled.py").read_text(encoding="utf-8")))
             if isinstance(node, ast.Call) and dotted(node.func).startswith("subprocess")]
    [command] = [call.args[0] for call in calls]
    assert [ast.unparse(part) for part in command.elts] == ["sys.executable", "'-c'", "TRIAL", "*arguments"]
