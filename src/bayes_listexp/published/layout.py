"""A published table as arrays for the model: which numbers are used, and how groups make up the total."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from bayes_listexp.errors import InputError
from bayes_listexp.published.audit_groups import compare_with_total, copied_pairs, remainder
from bayes_listexp.published.findings import EPSILON
from bayes_listexp.published.row import difference_interval, expected_sizes, support_gap
from bayes_listexp.published.table import PublishedRow, PublishedTable

Use = Literal["means", "support", "exclude"]
UNREPORTED = "unreported"  # the level that stands for respondents no row of a variable reports
NOISE = 1e-8  # smallest variance of a printed number: with many digits, groups and total would be collinear


class Part(NamedTuple):
    """A level of a variable, or its unreported respondents: name, variable, share of all, respondents by
    arm if given.
    """

    name: str
    variable: str
    weight: float
    sizes: tuple[int, int] | None


class Layout(NamedTuple):
    """Arrays of the model; "sample means" are those of all parts in the control arm, then in the treatment
    arm.

    `numbers` are the printed numbers used, less the printed total: means, or the difference in means where
    a row counts by its support. `number_of` (numbers, sample means) is what they are of the sample means,
    and `noise` (numbers, numbers) the covariance that rounding and the chance composition of the arms add.
    `weights` (variables, parts) add up to one.
    """

    parts: tuple[Part, ...]
    weights: np.ndarray
    numbers: np.ndarray
    number_of: np.ndarray
    noise: np.ndarray


def default_use(table: PublishedTable, *, contradictory: Use = "means", copied: Use = "exclude") -> dict[str, Use]:
    """What each row contributes: "means", its printed "support" taken as the difference in means, or nothing.

    Rows whose support contradicts their means count by their means, since those are what was measured; the
    audit flags them. Rows that repeat another level's means are excluded: at least one of them reports
    somebody else's answers, and nothing says which. The total always counts by its means.
    """
    copies = {row.name for pair in copied_pairs(table) for row in pair}
    use: dict[str, Use] = {}
    for row in table.rows:
        use[row.name] = copied if row.name in copies else contradictory if support_gap(row) else "means"
    use[table.total.name] = "means"
    return use


def complete_use(table: PublishedTable, use: Mapping[str, Use] | None) -> dict[str, Use]:
    """The defaults with the given exceptions, checked: InputError for a row that cannot be used so."""
    complete = default_use(table) | dict(use or {})
    rows = {row.name: row for row in table.rows}
    for name, how in complete.items():
        if name not in rows:
            raise InputError(f"{table.name}: use names the row {name!r}; the rows are {', '.join(rows)}")
        _check_use(table, rows[name], how)
    return complete


def _check_use(table: PublishedTable, row: PublishedRow, how: Use) -> None:
    where = f"{table.name}, row {row.name!r}"
    if how not in ("means", "support", "exclude"):
        raise InputError(f"{where}: use {how!r}; write means, support or exclude")
    if row is table.total and how != "means":
        raise InputError(f"{where}: the total can only count by its means")
    if how == "support" and row.support is None:
        raise InputError(f"{where}: has no printed support; use means or exclude")
    means = row.mean_control, row.mean_treatment
    if how == "means" and any(
        mean.upper < 0 or mean.lower > most for mean, most in zip(means, (table.J, table.J + 1), strict=True)
    ):
        raise InputError(
            f"{where}: means {row.mean_control.text} and {row.mean_treatment.text} are impossible "
            f"with J = {table.J}; "
            "exclude the row or correct J"
        )


def lay_out(table: PublishedTable, use: Mapping[str, Use]) -> Layout:
    """Arrays for the model from a table and what each row contributes. InputError if shares make no whole."""
    variables = list(table.variables)
    parts = tuple(part for variable in variables for part in _parts(table, variable))
    weights = np.array([[part.weight * (part.variable == name) for part in parts] for name in variables])
    weights = weights.reshape(len(variables), len(parts))
    rows = [row for row in table.rows if use[row.name] != "exclude" and row is not table.total]
    position = {part.name: i for i, part in enumerate(parts)}
    picked = [number for row in rows for number in _numbers(row, use[row.name], table.total)]
    own = np.zeros((len(picked), 2, len(parts)))  # the row's own sample means
    of_total = np.zeros((len(picked), 2, len(variables)))  # the total, as the sum of each variable's parts
    for i, number in enumerate(picked):
        own[i, :, position[number.row.name]] = number.by_arm
        of_total[i, :, variables.index(number.row.group)] = number.by_arm
    by_arm = np.stack([_arm_weights(parts, weights, arm) for arm in (0, 1)])  # arm, variable, part
    return Layout(
        parts,
        weights,
        np.array([number.value for number in picked]),
        (own - np.einsum("nav,avp->nap", of_total, by_arm)).reshape(len(picked), 2 * len(parts)),
        _noise(table, use, picked, of_total),
    )


class _Number(NamedTuple):
    """A printed number less the total's; `by_arm` is how control and treatment means enter it."""

    row: PublishedRow
    value: float
    variance: float  # of its own rounding
    by_arm: tuple[int, int]


def _numbers(row: PublishedRow, how: Use, total: PublishedRow) -> list[_Number]:
    if how == "support" and row.support is not None:
        difference = row.support.value - difference_interval(total).value
        return [_Number(row, difference, rounding_variance(row.support.half_unit), (-1, 1))]
    return [
        _Number(row, own.value - whole.value, rounding_variance(own.half_unit), by_arm)
        for own, whole, by_arm in (
            (row.mean_control, total.mean_control, (1, 0)),
            (row.mean_treatment, total.mean_treatment, (0, 1)),
        )
    ]


def _noise(table: PublishedTable, use: Mapping[str, Use], picked: list[_Number], of_total: np.ndarray) -> np.ndarray:
    """Covariance of rounding and of the total's distance from the weighted sum of its parts."""
    shared = np.zeros((2, len(table.variables), 2, len(table.variables)))
    for v, rows in enumerate(table.variables.values()):
        shared[:, v, :, v] = _total_noise(table, tuple(row for row in rows if use[row.name] == "means"))
    own = np.diag([number.variance for number in picked]) if picked else np.empty((0, 0))
    return own + np.einsum("iav,avbw,jbw->ij", of_total, shared, of_total)


def _total_noise(table: PublishedTable, rows: tuple[PublishedRow, ...]) -> np.ndarray:
    """Arm by arm covariance of the printed total around the weighted sum of a variable's parts.

    Rounding of the total; unequal composition of two random halves, which moves the arms in opposite
    directions; and a gap that the audit found between groups and total, which then says nothing about any
    one group.
    """
    total = table.total.mean_control, table.total.mean_treatment
    noise = np.diag([rounding_variance(mean.half_unit) for mean in total])
    if not rows or any(row.share is None for row in rows):
        return noise
    shares = np.array([_share(table, row) for row in rows])
    means = np.array([(row.mean_control.value, -row.mean_treatment.value) for row in rows])
    centred = means - [[total[0].value, -total[1].value]]
    gaps = [item.gap for item in compare_with_total(table, rows) if item.quantity != "support"]
    composition = 0.0 if all(_given(row) for row in rows) else (centred * shares[:, None]).T @ centred / table.N
    return noise + composition + np.diag(np.square(gaps))


def rounding_variance(half_unit: float) -> float:
    """Variance of a uniform number within half a unit of the last printed place, and a trace against
    collinearity.
    """
    return half_unit**2 / 3 + NOISE


def _parts(table: PublishedTable, variable: str) -> list[Part]:
    """The levels of a variable with weights that add up to one, and its unreported respondents if there are
    any.
    """
    rows = table.variables[variable]
    shares = [_share(table, row) for row in rows]
    least, most = remainder(rows) if all(row.share for row in rows) else (0.0, 1 - sum(shares) + EPSILON)
    if most < -EPSILON:
        raise InputError(
            f"{table.name}: the shares of {variable!r} add up to {sum(shares):.3f}, so they are no "
            "parts of one whole; "
            "correct them or leave the variable out of the table"
        )
    left = 1 - sum(shares) if least > EPSILON or not all(row.share for row in rows) else 0.0
    left = left if left > EPSILON else 0.0
    whole = sum(shares) + left
    parts = [Part(row.name, variable, share / whole, _given(row)) for row, share in zip(rows, shares, strict=True)]
    return parts + ([Part(f"{variable}: {UNREPORTED}", variable, left / whole, None)] if left else [])


def _share(table: PublishedTable, row: PublishedRow) -> float:
    if row.share is not None:
        return row.share.value
    if row.n_control is None:
        raise InputError(
            f"{table.name}, row {row.name!r}: neither a share nor arm sizes; one of them is needed to "
            "say how the "
            "groups make up the total"
        )
    return sum(expected_sizes(row, table.N)) / table.N


def _given(row: PublishedRow) -> tuple[int, int] | None:
    return (row.n_control, row.n_treatment) if row.n_control and row.n_treatment else None


def _arm_weights(parts: tuple[Part, ...], weights: np.ndarray, arm: int) -> np.ndarray:
    """Shares of the parts in one arm: exact where sizes are given for the whole variable, else as in the
    sample.
    """
    exact = weights.copy()
    for i, row in enumerate(weights):
        members = np.flatnonzero(row)
        sizes = [part.sizes[arm] for part in (parts[j] for j in members) if part.sizes is not None]
        if len(sizes) == len(members):
            exact[i, members] = np.array(sizes) / sum(sizes)
    return exact
