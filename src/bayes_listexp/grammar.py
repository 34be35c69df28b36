"""What a formula may say: every name, call and number in it is looked at before anything of it is computed.

Formulas come from specs, which people pass on. Formulae looks names up in Python, follows dots in the names of functions, and computes
whatever numbers it is given; so a formula is held against a list of what is allowed, and nothing else reaches it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from math import comb
from typing import Any

from formulae.expr import Assign, Binary, Call, Grouping, Literal, QuotedName, Unary, Variable
from formulae.parser import ParseError, Parser
from formulae.scanner import ScanError, Scanner

from bayes_listexp.errors import InputError

LONGEST = 10_000
"""Characters of a formula."""
MOST_SIGNS, DEEPEST = 2_000, 50
"""Names, numbers and signs of a formula, and brackets within brackets."""
MOST_TERMS = 500
"""Terms that a formula may have once its interactions are written out."""
LARGEST_BASIS = 100
"""Columns (df, degree, number of knots) of a spline or polynomial."""
LARGEST_POWER = 20
"""Exponent of a power, and of a formula's ``(a + b) ** k``."""
BASES = {"bs": ("x", "df", "knots", "degree"), "cr": ("x", "df"), "cc": ("x", "df"), "tp": ("x", "df"), "poly": ("x", "degree")}
"""Transforms that make as many columns as they are told, and their arguments by place."""
SIZES = {"df", "degree", "max_knots"}
BETWEEN_TERMS = {"PLUS", "MINUS", "STAR", "SLASH", "COLON", "STAR_STAR", "PIPE", "TILDE"}
COMPARISONS = {"EQUAL_EQUAL", "BANG_EQUAL", "LESS_EQUAL", "LESS", "GREATER_EQUAL", "GREATER"}
WITHIN_CALLS = {"PLUS", "MINUS", "STAR", "SLASH", "STAR_STAR"} | COMPARISONS


def check_formula(formula: str, functions: Collection[str], structures: Collection[str]) -> None:
    """Refuse a formula that says anything but columns, numbers, signs, and calls of ``functions`` or, after a ``|``, ``structures``.

    Raises
    ------
    InputError : naming the part that is refused, and what is allowed.
    """
    if not isinstance(formula, str):
        raise InputError(f"formula {formula!r}: a formula is text such as '1 + age + (1|region)'.")
    if len(formula) > LONGEST:
        raise InputError(f"a formula of {len(formula):,} characters; at most {LONGEST:,} are read. Leave terms out.")
    try:
        tokens = Scanner(formula).scan()
        _refuse_endless(tokens)
        parser = Parser(tokens)
        tree = parser.parse()
        if not parser.at_end():  # formulae would drop the rest without a word
            raise InputError(f"a sign is missing before '{parser.peek().lexeme}'. Write it like '1 + age + (1|region)'.")
        _check(tree, functions, structures)
    except (ScanError, ParseError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, InputError):
            raise InputError(f"formula '{formula}': {error}") from error
        raise InputError(
            f"formula '{formula}' cannot be read ({error}). Write it like '1 + age + (1|region)', with columns, numbers, signs and "
            f"these functions: {', '.join(sorted(functions))}; names with spaces or signs go between backticks"
            f"{', and powers are written I(age ** 2)' if '^' in formula else ''}."
        ) from error
    except RecursionError as error:
        raise InputError(f"formula '{formula[:60]}...' is nested too deeply, or has too many signs. Write it shorter.") from error


def _refuse_endless(tokens: Sequence[Any]) -> None:
    depth = accumulate(1 if token.kind.startswith("LEFT_") else -1 if token.kind.startswith("RIGHT_") else 0 for token in tokens)
    if len(tokens) > MOST_SIGNS or max(depth) > DEEPEST:
        raise RecursionError


def _check(tree: Any, functions: Collection[str], structures: Collection[str]) -> None:
    for node in _nodes(tree):
        if isinstance(node, Call):
            _check_call(node, functions, structures)
        elif isinstance(node, (Variable, QuotedName)) and ".__" in f".{_name(node)}":
            raise InputError(f"'{_name(node)}' reaches into Python, which formulas do not. Name a column, or rename it.")
        elif isinstance(node, Variable) and node.level is not None:
            raise InputError(f"'{_name(node)}[...]' picks a level, which formulas do not. Recode the column, or write "
                             f"I({_name(node)} == 'level').")
        elif _is_pipe(node) and any(_is_pipe(part) for side in (node.left, node.right) for part in _nodes(side)):
            raise InputError("'|' within '|': effects are grouped once. Write (1|region:wave), or two terms.")
    terms = _terms(tree)
    if terms > MOST_TERMS:
        raise InputError(f"its interactions make {terms:,} terms; at most {MOST_TERMS} are fitted. Leave some out.")


def _is_pipe(node: Any) -> bool:
    return isinstance(node, Binary) and node.operator.kind == "PIPE"


def _nodes(node: Any) -> Iterator[Any]:
    """A node of the tree and all that is in it."""
    yield node
    match node:
        case Binary(left=left, right=right):
            parts = [left, right]
        case Unary(right=right):
            parts = [right]
        case Grouping(expression=inner):
            parts = [inner]
        case Call(args=args):
            parts = args
        case Assign(value=value):
            parts = [value]
        case _:
            parts = []
    for part in parts:
        yield from _nodes(part)


def _check_call(call: Call, functions: Collection[str], structures: Collection[str]) -> None:
    name = _name(call.callee) if isinstance(call.callee, Variable) else None
    if name not in {*functions, *structures}:
        raise InputError(f"the function '{name or 'that is no name'}' is not allowed. Allowed are: "
                         f"{', '.join(sorted(functions))}; and after a '|', {', '.join(sorted(structures))}.")
    places = BASES.get(str(name), ())
    for place, argument in enumerate(call.args):
        _check_values(argument)
        given = _name(argument.name) if isinstance(argument, Assign) else places[place] if place < len(places) else ""
        value = argument.value if isinstance(argument, Assign) else argument
        if places and given in SIZES and (_number(value) is None or not 0 <= (_number(value) or 0) <= LARGEST_BASIS):
            raise InputError(f"{name}: {given} must be a number of at most {LARGEST_BASIS}.")


def _check_values(node: Any) -> None:
    """What is computed within a call: columns, numbers, comparisons with texts; powers that do not grow beyond all bounds."""
    for part in _nodes(node):
        if isinstance(part, (Binary, Unary)) and part.operator.kind not in WITHIN_CALLS:
            raise InputError(f"'{part.operator.lexeme}' has no meaning within a function. Allowed are + - * / ** and comparisons.")
        if not isinstance(part, Binary):
            continue
        if part.operator.kind not in COMPARISONS and any(isinstance(getattr(s, "value", None), str) for s in (part.left, part.right)):
            raise InputError(f"'{part.operator.lexeme}' has no meaning for text. Compare it: I(column == 'level').")
        if part.operator.kind == "STAR_STAR" and _is_constant(part.right):
            power = _number(part.right)
            if power is None or abs(power) > LARGEST_POWER or (_is_constant(part.left) and _number(part.left) is None):
                raise InputError(f"a power must be a number of at most {LARGEST_POWER}.")


def _terms(node: Any) -> int:
    """How many terms a formula has at most once its interactions are written out."""
    match node:
        case Grouping(expression=inner) | Unary(right=inner):
            return _terms(inner)
        case Binary(left=left, operator=operator, right=right):
            if operator.kind not in BETWEEN_TERMS:
                raise InputError(f"'{operator.lexeme}' between terms has no meaning. Put it within a function: I(age > 60).")
            before = _terms(left)
            if operator.kind == "STAR_STAR":
                if isinstance(left, (Variable, QuotedName)):  # formulae would leave the power out
                    raise InputError(f"the power of '{_name(left)}' means nothing between terms. Write I({_name(left)} ** 2).")
                power = _number(right)
                if not isinstance(power, int) or not 1 <= power <= LARGEST_POWER:
                    raise InputError(f"a power of terms must be a whole number from 1 to {LARGEST_POWER}; that of a column is I(age ** 2).")
                return sum(comb(before, k) for k in range(1, power + 1))
            after = _terms(right)
            return {"MINUS": before, "STAR": before + after + before * after, "COLON": before * after, "PIPE": before * after,
                    "SLASH": before + before * after}.get(operator.kind, before + after)
        case _:
            return 1


def _is_constant(node: Any) -> bool:
    return not any(isinstance(part, (Variable, QuotedName)) for part in _nodes(node))


def _number(node: Any) -> int | float | None:
    """The number that a node is, with a sign if it has one, or None."""
    if isinstance(node, Grouping):
        return _number(node.expression)
    if isinstance(node, Unary):
        inner = _number(node.right)
        return None if inner is None else -inner if node.operator.kind == "MINUS" else inner
    value = node.value if isinstance(node, Literal) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _name(node: Any) -> str:
    return str(node.expression.lexeme[1:-1] if isinstance(node, QuotedName) else node.name.lexeme)
