"""What follows from one printed row: its difference in means, its arm sizes, whether its support agrees."""

from bayes_listexp.published.findings import EPSILON
from bayes_listexp.published.printed import Printed
from bayes_listexp.published.table import PublishedRow


def support_gap(row: PublishedRow) -> float:
    """How far the printed support is from the difference of the printed means, beyond the rounding of all
    three.
    """
    if row.support is None:
        return 0.0
    difference = difference_interval(row)
    gap = abs(row.support.value - difference.value) - row.support.half_unit - difference.half_unit
    return gap if gap > EPSILON else 0.0


def difference_interval(row: PublishedRow) -> Printed:
    """The difference of a row's printed means, with the half-width that their rounding gives it."""
    value = row.mean_treatment.value - row.mean_control.value
    return Printed(value, f"{value:.4g}", row.mean_treatment.half_unit + row.mean_control.half_unit)


def expected_sizes(row: PublishedRow, N: int) -> tuple[float, float]:
    """Control and treatment respondents of a row: as given, or halves of N times its share (of N without
    one).
    """
    if row.n_control is not None and row.n_treatment is not None:
        return row.n_control, row.n_treatment
    half = N * (row.share.value if row.share else 1.0) / 2
    return max(half, 1.0), max(half, 1.0)
