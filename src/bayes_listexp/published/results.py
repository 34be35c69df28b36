"""Tables from a fitted published table: support per row beside its difference in means, and change to a
later wave.
"""

import json

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayes_listexp.errors import InputError
from bayes_listexp.published.list_moments import usual_difference_se
from bayes_listexp.published.row import difference_interval, expected_sizes
from bayes_listexp.published.table import PublishedRow, PublishedSupport, PublishedTable

INTERVAL = (0.025, 0.975)  # equal-tailed 95 %
NORMAL_95 = float(stats.norm.ppf(0.975))


def support_table(tree: xr.DataTree, table: PublishedTable) -> pd.DataFrame:
    """One line per printed row, shares 0-1: the posterior of its support, and what was printed.

    Columns group, level, mean, median, lower, upper (equal-tailed 95 % interval), difference (of the
    printed means, not clipped), difference_se (usual dispersion, arms as given or halves of N times share),
    printed_support, used ("means", "support" or "exclude"). `tree` comes from `fit_published` on the same
    table.
    """
    if tree.attrs["sha256"] != table.sha256:
        raise InputError(f"the fit is of another table than {table.name!r}; fit this one")
    used = json.loads(tree.attrs["use"])
    support = tree["posterior"].to_dataset()["support"]
    return pd.DataFrame([_line(row, table, support.sel(row=row.name), used[row.name]) for row in table.rows])


def printed_differences(table: PublishedTable) -> pd.DataFrame:
    """The difference of the printed means of every row, without a model and without any fit.

    Columns group, level, estimate (0-1, not clipped), se, lower, upper (normal 95 %), printed_support. Standard
    errors are not printed: they suppose the usual dispersion of list answers (`usual_difference_se`), and the arm
    sizes where given, else halves of N times the share.
    """
    lines = [(row.group, row.level, *_difference(row, table), row.support.value if row.support else np.nan) for row in table.rows]
    out = pd.DataFrame(lines, columns=["group", "level", "estimate", "se", "printed_support"])
    half = NORMAL_95 * out["se"]
    out.insert(4, "lower", out["estimate"] - half)
    out.insert(5, "upper", out["estimate"] + half)
    return out


def _difference(row: PublishedRow, table: PublishedTable) -> tuple[float, float]:
    """The difference of a row's printed means, and its standard error at the usual dispersion."""
    difference = difference_interval(row).value
    return difference, usual_difference_se(row.mean_control.value, difference, table.J, expected_sizes(row, table.N))


def _line(row: PublishedRow, table: PublishedTable, draws: xr.DataArray, used: str) -> dict[str, object]:
    difference, difference_se = _difference(row, table)
    lower, median, upper = np.quantile(draws, [INTERVAL[0], 0.5, INTERVAL[1]])
    return {
        "group": row.group,
        "level": row.level,
        "mean": float(draws.mean()),
        "median": float(median),
        "lower": float(lower),
        "upper": float(upper),
        "difference": difference,
        "difference_se": difference_se,
        "printed_support": row.support.value if row.support else np.nan,
        "used": used,
    }


def published_change(tree: xr.DataTree) -> xr.Dataset:
    """Draws of the change in total support, later wave minus the table's: `change` with dims chain, draw
    (-1 to 1).

    `tree` comes from `fit_published(..., later=...)`; else InputError.
    """
    posterior = tree["posterior"].to_dataset()
    if "support_later" not in posterior:
        raise InputError("the fit has no later wave; call fit_published with later=PublishedSupport(...)")
    change = posterior["support_later"] - posterior["total_support"]
    return xr.Dataset({"change": change}, attrs={"later": tree.attrs["later"], "sign": "later minus table"})


def change_summary(change: xr.Dataset, *, at_least: float = 0.20) -> dict[str, float]:
    """Mean, median, 95 % interval of the change, P(decline), and P(decline of `at_least` or more)."""
    draws = change["change"].to_numpy().ravel()
    lower, median, upper = np.quantile(draws, [INTERVAL[0], 0.5, INTERVAL[1]])
    return {
        "mean": float(draws.mean()),
        "median": float(median),
        "lower": float(lower),
        "upper": float(upper),
        "p_decline": float((draws < 0).mean()),
        "p_decline_at_least": float((draws <= -at_least).mean()),
        "at_least": at_least,
    }


def design_based_change(table: PublishedTable, later: PublishedSupport) -> pd.DataFrame:
    """The change without a model, for the smallest and largest N of the later wave (one line each, 0-1
    units).

    Columns N, estimate (later support minus the difference of the printed means), se, z, p_value (two-
    sided), lower, upper (normal 95 %), p_decline (of a normal around the estimate). Standard errors assume
    the usual dispersion of list answers, the same control mean in both waves, and random halves (the
    table's arm sizes where given).
    """
    total = table.total
    first, first_se = _difference(total, table)
    second = later.printed.value
    lines = []
    for N in dict.fromkeys(later.respondents):
        second_se = usual_difference_se(total.mean_control.value, second, table.J, (N / 2, N / 2))
        estimate, se = second - first, float(np.hypot(first_se, second_se))
        z = estimate / se
        lines.append(
            {
                "N": N,
                "estimate": estimate,
                "se": se,
                "z": z,
                "p_value": float(2 * stats.norm.sf(abs(z))),
                "lower": estimate - NORMAL_95 * se,
                "upper": estimate + NORMAL_95 * se,
                "p_decline": float(stats.norm.cdf(-z)),
            }
        )
    return pd.DataFrame(lines)
