"""The page on security names, for each point, tests that exist, and every dependency."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_point_has_a_test_and_every_test_exists():
    table = PAGE.partition("## What is defended")[2].partition("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 15
    assert all("::test_" in row.rsplit("|", 2)[1] for row in rows)
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 30
    for file, test in named:
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"


def test_every_dependency_is_reviewed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.match(r"[\w.-]+", line)[0] for line in project["dependencies"]}
    table = PAGE.partition("## Dependencies")[2]
    assert {line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")} - {"Package", "---"} == needed


def test_the_limits_on_the_page_are_those_of_the_package():
    from bayes_listexp import grammar, opening

    assert f"at most {opening.USUAL.gib:g} GiB" in PAGE
    assert f"at most {opening.USUAL.values / 1e6:g} million values" in PAGE
    said = f"{grammar.LONGEST:,} characters, {grammar.MOST_SIGNS:,} names and signs, and {grammar.MOST_TERMS} terms"
    assert said in PAGE.replace("\n", " ")
