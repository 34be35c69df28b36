"""Published waves as auxiliary information: printed results of a list experiment that join microdata of other waves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.margins import KnownPrevalence
from bayes_listexp.published.list_moments import usual_difference_se
from bayes_listexp.published.printed import Printed
from bayes_listexp.published.row import difference_interval, expected_sizes
from bayes_listexp.published.table import PublishedRow, PublishedSupport, PublishedTable


def published_margins(
    table: PublishedTable,
    *,
    wave: Mapping[str, str],
    variable: str | None = None,
    later: PublishedSupport | None = None,
    population: str | pd.DataFrame = "frame",
) -> list[KnownPrevalence]:
    """What a published table says of a wave, as margins of a fit whose other waves have respondents.

    Parameters
    ----------
    wave : the wave column and the table's label in it, such as {"wave": "2022-09"}; the study must know that wave (see
        :meth:`bayes_listexp.ListExperiment.with_waves`).
    variable : None for the total row. Or one variable of the table, whose rows then enter instead of the total: they are different
        people, so nobody counts twice; their levels must be those of the study's column of that name.
    later : another wave known by its support alone, whose ``label`` is its wave.
    population : whom the published shares are about: the study's population "frame", or a frame of the published sample, such as
        one raked to its printed shares.

    Each margin is the difference of the printed means with a standard error that follows from means, N and the usual dispersion
    of list answers, with the rounding of what was printed, and of the smallest N that ``later`` allows.

    Raises
    ------
    InputError : the table has no such variable, or a difference of printed means is no share.
    """
    if variable is not None and variable not in table.variables:
        raise InputError(f"published margins: the table '{table.name}' has no variable '{variable}'; it has: {', '.join(table.variables)}.")
    rows = (table.total,) if variable is None else table.variables[variable]
    margins = [_margin(table, row, {**wave, **({} if variable is None else {variable: row.level})}, population) for row in rows]
    if later is not None:
        column = next(iter(wave))
        n = later.respondents[0] / 2
        se = usual_difference_se(table.total.mean_control.value, later.printed.value, table.J, (n, n))
        margins.append(_known({column: later.label}, later.printed, se, population))
    return margins


def _margin(table: PublishedTable, row: PublishedRow, group: Mapping[str, str], population: str | pd.DataFrame) -> KnownPrevalence:
    difference = difference_interval(row)
    if not 0 <= difference.value <= 1:
        raise InputError(f"published margins: row '{row.name}': the difference of its means, {difference.value:g}, is no share of people "
                         "and cannot be a margin. Take the total row, or another variable.")
    se = usual_difference_se(row.mean_control.value, difference.value, table.J, expected_sizes(row, table.N))
    return _known(group, difference, se, population)


def _known(group: Mapping[str, str], share: Printed, se: float, population: str | pd.DataFrame) -> KnownPrevalence:
    rounded = float(np.hypot(se, share.half_unit / np.sqrt(3)))
    return KnownPrevalence(group=group, share=float(share.value), se=rounded, population=population)
