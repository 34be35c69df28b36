"""Audit checks of arm sizes: whether they add up, and whether they can give the printed means."""

import numpy as np

from bayes_listexp.published.findings import Finding, failed, passed, percent, rows_text
from bayes_listexp.published.granularity import (
    LARGEST_ARM,
    Totals,
    arm_size_pairs,
    group_sizes,
    support_possible,
    totals,
)
from bayes_listexp.published.row import expected_sizes, support_gap
from bayes_listexp.published.table import PublishedRow, PublishedTable

COMBINATIONS = 100  # sums of answers per pair of arm sizes above which the printed support excludes nothing


def given_arm_sizes(table: PublishedTable) -> list[Finding]:
    """Arm sizes that do not add up to the group's share of N."""
    check = "arm sizes"
    found = []
    rows = [row for row in table.rows if row.n_control is not None and row.n_treatment is not None]
    for row in rows:
        size = sum(expected_sizes(row, table.N))
        lowest, highest = group_sizes(table.N, row.share) if row.share or row is table.total else (0, table.N)
        gap = max(lowest - size, size - highest)
        if gap > 0:
            text = (
                f"{row.name}: the arms have {row.n_control} + {row.n_treatment} = {size:.0f} "
                "respondents, but N = "
                f"{table.N} and the share make {lowest} to {highest}: off by {gap:.0f}."
            )
            found.append(failed(check, "contradiction", [row.name], gap, text))
    wrong = {finding.rows[0] for finding in found}
    fine = [row.name for row in rows if row.name not in wrong]
    if fine:
        found.append(passed(check, fine, f"{rows_text(fine)}: the arm sizes agree with N and the shares."))
    return found


def granularity(table: PublishedTable) -> list[Finding]:
    """Rows whose means no pair of arm sizes can give (GRIM; Brown & Heathers 2017), and how many pairs can.

    Arm sizes are as given, or all splits of N times the printed share within the central 99.9 % of a fair
    coin's. Weighted means are not bound by this.
    """
    found, counts, open_rows, unchecked = [], {}, [], []
    for row in table.rows:
        pairs = _possible_pairs(row, table)
        if pairs is None:
            open_rows.append(row.name)
        elif pairs[0].size == 0:
            unchecked.append(row.name)
        else:
            found += _granularity_of_row(row, *pairs)
            counts[row.name] = pairs
    fine = [name for name, (_, possible, _) in counts.items() if possible.any()]
    if fine:
        text = "; ".join(f"{name} {_count(*counts[name])}" for name in fine)
        found.append(passed("granularity", fine, f"Pairs of arm sizes that give both means: {text}."))
    if open_rows:
        text = f"{', '.join(open_rows)}: arms so large that every printed mean is possible: cannot discriminate."
        found.append(passed("granularity", open_rows, text))
    if unchecked:
        found.append(passed("granularity", unchecked, f"Not checked: no size known for {', '.join(unchecked)}."))
    return found


def _count(sizes: np.ndarray, possible: np.ndarray, supported: np.ndarray | None) -> str:
    with_support = "" if supported is None else f" ({supported.sum()} with the support)"
    return f"{possible.sum()} of {sizes.size}{with_support}"


def _possible_pairs(row: PublishedRow, table: PublishedTable) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | None:
    """Control sizes tried, which give both means, and which give the support too; None if all must."""
    if row.n_control is not None and row.n_treatment is not None:
        sizes = np.array([row.n_control]), np.array([row.n_treatment])
    elif row.share is None and row is not table.total:
        return np.empty(0), np.empty(0, dtype=bool), None
    else:
        lowest, highest = group_sizes(table.N, row.share)
        smallest_arm = lowest / 2 - 2 * np.sqrt(lowest)
        unit = 2 * min(row.mean_control.half_unit, row.mean_treatment.half_unit)
        if smallest_arm * unit >= 1 or highest > 2 * LARGEST_ARM:
            return None
        sizes = arm_size_pairs(lowest, highest)
    control, treatment = totals(row.mean_control, sizes[0]), totals(row.mean_treatment, sizes[1])
    possible = control.possible & treatment.possible
    return sizes[0], possible, _pairs_with_support(row, control, treatment, sizes)


def _pairs_with_support(
    row: PublishedRow, control: Totals, treatment: Totals, sizes: tuple[np.ndarray, np.ndarray]
) -> np.ndarray | None:
    if row.support is None or support_gap(row):
        return None
    width = [int((arm.highest - arm.lowest).max(initial=-1)) + 1 for arm in (control, treatment)]
    return support_possible(row.support, control, treatment, sizes) if width[0] * width[1] <= COMBINATIONS else None


def _granularity_of_row(
    row: PublishedRow, sizes: np.ndarray, possible: np.ndarray, supported: np.ndarray | None
) -> list[Finding]:
    tried = f"none of the {sizes.size} pairs of arm sizes (control {sizes.min()} to {sizes.max()})"
    if not possible.any():
        text = (
            f"{row.name}: {tried} can give the means {row.mean_control.text} and "
            f"{row.mean_treatment.text} as "
            "averages of whole numbers, unless they are weighted."
        )
        return [failed("granularity", "contradiction", [row.name], 1.0, text)]
    if supported is not None and row.support and not supported.any():
        text = (
            f"{row.name}: {tried} gives both means and the support {percent(row.support.value)} from "
            "whole-number "
            "answers, unless they are weighted."
        )
        return [failed("granularity of support", "warning", [row.name], 1.0, text)]
    return []
