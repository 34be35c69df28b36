"""Audit checks that compare rows: copies, shares that add up, groups that give the total."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

from bayes_listexp.published.findings import EPSILON, Finding, Severity, failed, passed, percent, points, rows_text
from bayes_listexp.published.list_moments import USUAL_RATIO, control_variance
from bayes_listexp.published.printed import Printed
from bayes_listexp.published.table import PublishedRow, PublishedTable

FALSE_ALARMS = 0.05  # chance that a sound table fails any check in which chance has a say (Bonferroni)
IMPOSSIBLE = 1e-6  # probability below which chance no longer counts as an explanation


class Comparison(NamedTuple):
    """Groups weighted by share against the total, for one printed quantity of one variable."""

    quantity: str
    weighted: float  # sum of share times value over the reported groups
    lower: float  # what the total may be, given rounding and any value of the unreported share
    upper: float
    total: Printed
    chance_sd: float  # spread that unequal composition of the arms adds

    @property
    def gap(self) -> float:
        """Distance of the printed total from the possible range."""
        gap = max(self.total.lower - self.upper, self.lower - self.total.upper)
        return gap if gap > EPSILON else 0.0

    @property
    def probability(self) -> float:
        """Probability that chance in the composition of the arms makes such a gap."""
        if not self.gap:
            return 1.0
        return float(2 * stats.norm.sf(self.gap / self.chance_sd)) if self.chance_sd else 0.0


def copied_pairs(table: PublishedTable) -> list[tuple[PublishedRow, PublishedRow]]:
    """Pairs of levels of one variable with the same printed means in both arms, beyond what chance
    explains.
    """
    pairs = [pair for rows in table.variables.values() for pair in combinations(rows, 2)]
    return [pair for pair in pairs if _same_means(*pair) and chance_of_same_means(table, *pair) * len(pairs) < FALSE_ALARMS]


def _same_means(first: PublishedRow, second: PublishedRow) -> bool:
    return (first.mean_control.value, first.mean_treatment.value) == (
        second.mean_control.value,
        second.mean_treatment.value,
    )


def chance_of_same_means(table: PublishedTable, first: PublishedRow, second: PublishedRow) -> float:
    """Largest probability (equal true means) that two groups print the same mean in both arms by
    coincidence.
    """
    chance = 1.0
    for arm in ("mean_control", "mean_treatment"):
        printed = [getattr(row, arm) for row in (first, second)]
        variance = _usual_variance(printed[0].value, table.J)
        sd = np.sqrt(sum(variance / max(_share(row) * table.N / 2, 1.0) for row in (first, second)))
        chance *= min(1.0, 2 * max(number.half_unit for number in printed) * stats.norm.pdf(0) / sd)
    return chance


def copied_rows(table: PublishedTable) -> list[Finding]:
    """Rows of one variable that repeat each other's means."""
    check = "copied rows"
    found, copies = [], copied_pairs(table)
    for first, second in copies:
        gap = abs(first.support.value - second.support.value) if first.support and second.support else 0.0
        text = (
            f"{first.name} and {second.name} print the same means, {first.mean_control.text} and "
            f"{first.mean_treatment.text} (by coincidence at most "
            f"{_odds(chance_of_same_means(table, first, second))})"
            + (f", while their printed supports differ by {points(gap)}." if gap else ".")
        )
        found.append(failed(check, "contradiction" if gap else "warning", (first.name, second.name), gap, text))
    involved = {row.name for pair in copies for row in pair}
    fine = [row.name for rows in table.variables.values() for row in rows if row.name not in involved]
    if fine:
        found.append(passed(check, fine, f"{rows_text(fine)}: no repeat of another level's means beyond coincidence."))
    return found


def remainder(rows: tuple[PublishedRow, ...]) -> tuple[float, float]:
    """Smallest and largest share that no row of the variable reports (below 0: the shares add up to more
    than 1).
    """
    shares = [row.share for row in rows if row.share]
    return 1 - sum(share.upper for share in shares), 1 - sum(share.lower for share in shares)


def share_sums(table: PublishedTable) -> list[Finding]:
    """Shares of the levels of each variable: what they leave unreported, and sums above one."""
    check = "group shares"
    found = []
    for variable, rows in table.variables.items():
        names = [row.name for row in rows]
        if any(row.share is None for row in rows):
            found.append(passed(check, names, f"Not checked: {variable} has levels without a printed share."))
            continue
        least, most = remainder(rows)
        together = f"The shares of {variable} add up to {percent(1 - (least + most) / 2)}"
        if most < -EPSILON:
            text = f"{together}, {points(-most)} above 100 % beyond rounding."
            found.append(failed(check, "contradiction", names, -most, text))
        elif least > EPSILON:
            found.append(passed(check, names, f"{together}: {percent((least + most) / 2)} is unreported."))
        else:
            found.append(passed(check, names, f"{together}: all respondents within rounding."))
    return found


def group_totals(table: PublishedTable) -> list[Finding]:
    """Levels of a variable, weighted by share, against the printed total: means by arm and supports.

    The unreported share may hold any mean a list of J items can have (0-1 for supports). Random assignment
    gives the arms unequal shares of each group, which moves the total: a gap counts when chance alone would
    make one as large in fewer than 5 % of sound tables (Bonferroni over all comparisons).
    """
    comparisons = [
        (variable, comparison)
        for variable, rows in table.variables.items()
        if all(row.share for row in rows) and remainder(rows)[1] >= -EPSILON
        for comparison in compare_with_total(table, rows)
    ]
    return [_group_finding(table, variable, item, len(comparisons)) for variable, item in comparisons]


def compare_with_total(table: PublishedTable, rows: tuple[PublishedRow, ...]) -> list[Comparison]:
    """Control means, treatment means and supports of one variable's levels against the total."""
    total, J, N = table.total, table.J, table.N
    unreported = max(sum(remainder(rows)) / 2, 0.0)
    sums = [
        (_share(row), treatment.value + control.value, treatment.half_unit + control.half_unit)
        for row in rows
        for treatment, control in [(row.mean_treatment, row.mean_control)]
    ]
    compared = []
    for quantity, most in (("mean_control", J), ("mean_treatment", J + 1)):
        exact = _arm_shares(table, rows, quantity)
        values = [(_share(row), getattr(row, quantity).value, getattr(row, quantity).half_unit) for row in rows]
        centre = getattr(total, quantity).value
        extreme = unreported * max(centre, most - centre) ** 2
        sd = 0.0 if exact else np.sqrt((_spread(values) + extreme) / N)
        compared.append(_comparison(rows, total, quantity, most, sd, exact))
    if total.support and any(row.support for row in rows):
        answers = _usual_variance(total.mean_control.value, J) + 0.25
        sd = np.sqrt((_spread(sums) + 4 * unreported * answers) / N)
        compared.append(_comparison(rows, total, "support", 1, sd, None))
    return compared


def _comparison(
    rows: tuple[PublishedRow, ...],
    total: PublishedRow,
    quantity: str,
    most: float,
    chance_sd: float,
    exact: dict[str, float] | None,
) -> Comparison:
    """Rows that print no such quantity belong to the unreported share."""
    bounds, numbers, weighted = [], [], 0.0
    for row in rows:
        number, share = getattr(row, quantity), row.share
        if number is None or share is None:
            continue
        weight = exact[row.name] if exact else share.value
        bounds.append((weight, weight) if exact else (max(share.lower, 0.0), min(share.upper, 1.0)))
        numbers.append(number)
        weighted += weight * number.value
    upper = most + _largest_sum(bounds, [number.upper - most for number in numbers])
    lower = -_largest_sum(bounds, [-number.lower for number in numbers])
    return Comparison(quantity, weighted, lower, upper, getattr(total, quantity), float(chance_sd))


def _largest_sum(bounds: list[tuple[float, float]], gains: list[float]) -> float:
    """Largest sum of weight times gain over weights within their bounds that add up to at most one."""
    spare = max(1 - sum(low for low, _ in bounds), 0.0)
    best = sum(low * gain for (low, _), gain in zip(bounds, gains, strict=True))
    for (low, high), gain in sorted(zip(bounds, gains, strict=True), key=lambda item: -item[1]):
        if gain > 0:
            step = min(high - low, spare)
            best, spare = best + step * gain, spare - step
    return best


def _arm_shares(table: PublishedTable, rows: tuple[PublishedRow, ...], quantity: str) -> dict[str, float] | None:
    """Each group's exact share of an arm, where all arm sizes were given."""
    arm = quantity.replace("mean_", "n_")
    sizes = {row.name: getattr(row, arm) for row in (table.total, *rows)}
    if any(size is None for size in sizes.values()):
        return None
    shares = {row.name: sizes[row.name] / sizes[table.total.name] for row in rows}
    return shares if sum(shares.values()) <= 1 + EPSILON else None


def _group_finding(table: PublishedTable, variable: str, item: Comparison, tests: int) -> Finding:
    rows = table.variables[variable]
    names = [row.name for row in rows]
    left = max(sum(remainder(rows)) / 2, 0.0)
    show = percent if item.quantity == "support" else "{:.3f}".format
    apart = points(item.gap) if item.quantity == "support" else f"{item.gap:.3f}"
    margin = f"rounding and any value of the unreported {percent(left)}" if left > EPSILON else "rounding"
    text = (
        f"{variable}: {_WORDS[item.quantity]} weighted by share add up to {show(item.weighted)}, with "
        f"{margin} to "
        f"between {show(item.lower)} and {show(item.upper)}, against {show(item.total.value)} printed for all"
    )
    if not item.gap:
        return passed("groups give total", names, f"{text}: they agree.")
    text += f": {apart} apart, as chance in the composition of the arms makes it in {_odds(item.probability)}"
    if item.probability * tests >= FALSE_ALARMS:
        return passed("groups give total", names, f"{text}.")
    severity: Severity = "contradiction" if item.probability * tests < IMPOSSIBLE else "warning"
    return failed("groups give total", severity, (*names, table.total.name), item.gap, f"{text}.")


_WORDS = {"mean_control": "control means", "mean_treatment": "treatment means", "support": "supports"}


def _odds(probability: float) -> str:
    if probability < IMPOSSIBLE:
        return "fewer than one table in a million"
    return f"about {100 * probability:.0f} of 100 tables" if probability > 0.1 else f"1 in {1 / probability:,.0f} tables"


def _share(row: PublishedRow) -> float:
    return row.share.value if row.share else 1.0


def _usual_variance(mean: float, J: int) -> float:
    ratio = 1.0 if J == 1 else USUAL_RATIO
    return float(control_variance(min(max(mean, 0.05), J - 0.05), J, ratio))


def _spread(values: list[tuple[float, float, float]]) -> float:
    """Variance between groups of (share, value, half unit), as large as rounding allows (triangle
    inequality).
    """
    shares, numbers, rounding = np.array(values).T
    centre = np.average(numbers, weights=shares)
    between, blur = np.sum(shares * (numbers - centre) ** 2), np.sum(shares * rounding**2)
    return float((np.sqrt(between) + np.sqrt(blur)) ** 2)
