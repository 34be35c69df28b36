"""The page docs/calibration_catalogue.md and its figure, from what :mod:`benchmarks.calibration_catalogue` has left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

from bayes_listexp.multiple_tests import holm
from bayes_listexp.sampling import Density, Sampler, compile_density, sample_nuts
from bayes_listexp.simulate import draw_studies
from benchmarks import calibration_catalogue as catalogue
from benchmarks.calibration_catalogue import BROKEN, Row, results_file, rows, ways
from benchmarks.exact_draws import LARGEST_K, draw_weighted, normalised
from benchmarks.mrp_nation import lines, markdown
from benchmarks.ranks import LEVEL, band, ecdf, p_value, share_outside, uniform_under_calibration, within_band

SHOWN = Row("list", "truthful", "binomial", "shift")
"""The row of the figure."""

QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)
TOO_MANY = 3
"""Studies of a row with weights that are not to be relied on, from which the row is not said to be within its band."""
UNRELIABLE = [0, 1, TOO_MANY, 6, np.inf]
FEWEST = 20
"""Studies below which a row is not judged."""


def quantities_of(row: Row, broken: str) -> dict[str, np.ndarray]:
    """Uniform numbers (study,) by quantity, and nothing of a row with fewer than :data:`FEWEST` studies."""
    kept = sorted(lines(results_file(row, broken)), key=lambda line: line["study"])
    if len(kept) < FEWEST:
        return {}
    return {name: uniform_under_calibration(np.array([line["ranks"][name] for line in kept])) for name in kept[0]["ranks"]}


def table(broken: str = "") -> pd.DataFrame:
    """A row per combination and quantity: studies, whether the ECDF stays in its band, p-value, and Holm's over all of them and over those
    of its combination.
    """
    found = [(row, name, len(u), within_band(u), p_value(u)) for row in rows() for name, u in quantities_of(row, broken).items()]
    out = pd.DataFrame(found, columns=["row", "quantity", "studies", "in band", "p"])
    if out.empty:
        return out
    out["p, row"] = out.groupby("row", sort=False)["p"].transform(lambda p: holm(p.to_numpy()))
    return out.assign(**{"p, all rows": holm(out["p"].to_numpy())})


def by_row(found: pd.DataFrame, broken: str = "") -> pd.DataFrame:
    """A row per combination: the quantity that strays most, its p-values, the verdict, and how the draws went."""
    out = []
    for row, part in found.groupby("row", sort=False):
        worst, went = part.loc[part["p"].idxmin()], pd.DataFrame(list(lines(results_file(row, broken))))
        failed = int((went["k"] > LARGEST_K).sum())
        verdict = "**out**" if worst["p, all rows"] < LEVEL else "within" if failed < TOO_MANY else "open"
        out.append((ways()[row.way].title, row.response, row.counts, row.dependence, worst["studies"], len(part), worst["quantity"],
                    f"{worst['p, row']:.2g}", f"{worst['p, all rows']:.2g}", verdict, int(went["ess"].median()),
                    int(went["ess"].min()), failed))  # fmt: skip
    return pd.DataFrame(out, columns=["observed by", "response", "counts", "dependence", "studies", "quantities", "farthest out",
                                      "p, row", "p, all rows", "verdict", "draws, median", "least", "k > 0.7"])  # fmt: skip


def verdict(found: pd.DataFrame) -> str:
    """What all rows say together."""
    out, least = int((~found["in band"]).sum()), float(found["p, all rows"].min())
    expected = sum(map(share_outside, found["studies"]))
    judged = "calibrated" if least >= LEVEL else "**not calibrated**"
    return (f"{found['row'].nunique()} rows with {len(found)} quantities, {out} of these out of their own 95 % bands "
            f"({expected:.0f} expected if all is right); the least p-value after accounting for all of them (Holm) is "
            f"{least:.2g}: {judged} at the level of {LEVEL:.0%}.")  # fmt: skip


def by_reliability(found: pd.DataFrame) -> pd.DataFrame:
    """How many quantities are out of their own bands, by how many studies of their row have weights that are not to be relied on."""
    unreliable = {row: sum(line["k"] > LARGEST_K for line in lines(results_file(row, ""))) for row in found["row"].unique()}
    several = pd.cut(found["row"].map(unreliable), UNRELIABLE, right=False, labels=["none", "1 or 2", "3 to 5", "6 or more"])
    out = found.assign(studies_out=several, out=~found["in band"], expected=found["studies"].map(share_outside))
    table = out.groupby("studies_out", observed=True).agg(quantities=("out", "size"), out=("out", "sum"), expected=("expected", "sum"))
    table = table.assign(expected=table["expected"].round().astype(int)).reset_index()
    return table.set_axis(["studies of the row with k > 0.7", "quantities", "out of their own bands", "expected if all is right"], axis=1)


def coverage(done: Iterable[Row]) -> str:
    """How much of the catalogue the results hold."""
    made, all_rows = set(done), rows()
    missing = [row for row in all_rows if row not in made]
    if not missing:
        return f"All {len(all_rows)} combinations have been run."
    return (f"{len(made)} of the {len(all_rows)} combinations have been run; the command goes on with the others. Still without results: "
            + "; ".join(f"{ways()[way].title} ({sum(row.way == way for row in missing)} of {sum(row.way == way for row in all_rows)})"
                        for way in ways() if any(row.way == way for row in missing)) + ".")  # fmt: skip


def summary() -> str:
    """The page docs/calibration_catalogue.md."""
    found = table()
    out = [INTRODUCTION, "## Result\n", verdict(found) + "\n", coverage(found["row"]) + "\n", RELIABLE,
           markdown(by_reliability(found)) + "\n", markdown(by_row(found)) + "\n",
           "## Wrong on purpose\n", WRONG, FIGURE]  # fmt: skip
    for broken, what in BROKEN.items():
        if len(wrong := table(broken)):
            out += [f"`--broken {broken}`: {what}\n", markdown(by_row(wrong, broken)) + "\n"]
    out.append(CHECKED)
    return "\n".join(out)


# Against NUTS


def check(keys: Sequence[str] = ("list/truthful/softmax/shift", "one_sided/truthful/binomial/shift"), long: int = 1000) -> str:
    """The largest differences between draws of the same study by :mod:`benchmarks.exact_draws` and by two long chains of NUTS."""
    out = []
    for key in keys:
        row = catalogue.chosen([key])[0]
        drawn = next(draw_studies(catalogue.template(ways()[row.way]), catalogue.specification(row), seed=5, number=1))
        shared = catalogue.engine(row, catalogue.template(ways()[row.way]), tuple(drawn.parameters), "")
        catalogue.give(shared, drawn.study, "")
        found = draw_weighted(shared.target, shared.prior, 1)
        of = np.random.default_rng(1).choice(len(found.points), 4 * long, p=normalised(found.log_weights))
        mine = catalogue.quantities(shared, shared.unpack(found.points[of])[1])
        chains, _ = sample_nuts(_of_numbers(compile_density(shared.model, "FAST_COMPILE")), Sampler(long, 500, 2, cores=1), 1)
        theirs = catalogue.quantities(shared, shared.unpack(chains.reshape(-1, chains.shape[-1]))[1])
        told = {name: value.reshape(2, -1) for name, value in theirs.items()}
        rhat = max(float(array_stats.rhat(value, chain_axis=0, draw_axis=1)) for value in told.values())
        least = min(float(array_stats.ess(value, chain_axis=0, draw_axis=1)) for value in told.values())
        means = max(abs(mine[name].mean() - value.mean()) / value.std() for name, value in theirs.items())
        sds = [mine[name].std() / value.std() for name, value in theirs.items()]
        tails = max(abs((value < np.quantile(mine[name], q)).mean() - q) for name, value in theirs.items() for q in QUANTILES)
        out.append((str(row), len(theirs), int(found.ess), int(least), f"{rhat:.3f}", means, f"{min(sds):.3f} to {max(sds):.3f}", tails))
    columns = ["row", "quantities", "effective draws", "of NUTS, least", "its largest R-hat", "largest difference of means, in sd",
               "ratio of sds", "largest difference of tail probabilities"]  # fmt: skip
    return markdown(pd.DataFrame(out, columns=columns))


def _of_numbers(density: Density) -> Density:
    """The density with a number as its value, as nutpie wants it."""

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density.function(x)
        return float(value), gradient

    return density._replace(function=function)


# The figure

WIDTH, HEIGHT, LEFT, TOP = 200, 130, 44, 30


def figure() -> str:
    """ECDF differences of one row, as it is and broken, with the band, as SVG."""
    panels = [("as it is", "")] + [(name.replace("_", " "), name) for name in BROKEN]
    panels = [(title, found) for title, broken in panels if (found := quantities_of(SHOWN, broken))]
    body = "".join(_panel(title, list(found.values()), i) for i, (title, found) in enumerate(panels))
    width = LEFT + len(panels) * (WIDTH + 16)
    out = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 40}" role="img" aria-labelledby="t d" '
    out += 'font-family="sans-serif" font-size="11">'
    out += f'<title id="t">Calibration of {escape(" / ".join(SHOWN))}, right and wrong on purpose</title>'
    out += '<desc id="d">ECDF of the ranks of the truth minus that of a uniform distribution, one line per quantity, with the simultaneous '
    out += '95 percent band. Lines of the density as it is stay in the band; each wrong density sends some outside.</desc>'
    return out + f'<rect width="{width}" height="{TOP + HEIGHT + 40}" fill="#ffffff"/>' + body + "</svg>\n"


def _panel(title: str, samples: Sequence[np.ndarray], position: int) -> str:
    x0 = LEFT + position * (WIDTH + 16)
    middle, scale = TOP + HEIGHT / 2, HEIGHT

    def path(x: np.ndarray, y: np.ndarray) -> str:
        return " ".join(f"{x0 + WIDTH * a:.1f},{middle - scale * np.clip(b, -0.5, 0.5):.1f}" for a, b in zip(x, y, strict=True))

    drawn = []
    for u in samples:
        x, low, high = band(len(u))
        outside = not within_band(u)
        style = 'stroke="#b2182b" stroke-width="1.8"' if outside else 'stroke="#4d4d4d" stroke-width="0.8"'
        drawn.append((outside, f'<polyline fill="none" {style} points="{path(x, ecdf(u) - x)}"/>'))
    shade = path(np.concatenate([x, x[::-1]]), np.concatenate([high - x, (low - x)[::-1]]))
    lines_ = "".join(line for _, line in sorted(drawn))
    text = f'<text x="{x0}" y="{TOP - 10}" font-weight="bold">{escape(title)}: {sum(o for o, _ in drawn)} of {len(drawn)} outside</text>'
    ticks = "".join(f'<text x="{x0 + WIDTH * t:.0f}" y="{TOP + HEIGHT + 14}" text-anchor="middle">{t:g}</text>' for t in (0, 0.5, 1))
    if position == 0:
        ticks += "".join(f'<text x="{x0 - 6}" y="{middle - scale * t + 4:.0f}" text-anchor="end">{t:g}</text>' for t in (-0.4, 0, 0.4))
        ticks += f'<text x="{x0}" y="{TOP + HEIGHT + 32}">rank of the truth (share); vertical: ECDF minus uniform</text>'
    frame = f'<rect x="{x0}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999999"/>'
    return text + f'<polygon fill="#c6dbef" points="{shade}"/>' + lines_ + frame + ticks


INTRODUCTION = """\
# Calibration of the catalogue

`python -m benchmarks.calibration_catalogue run --jobs 4` makes the studies (resumable; `--scheduler ADDRESS` on a Dask cluster),
`python -m benchmarks.calibration_catalogue summary` prints this page from what they have left, and `... figure` its figure.

For each combination of a response model, a family of control counts and a way of observing: all parameters are drawn from the default
priors, a study from the parameters by the package's own simulator, and draws from the study's posterior by the model's own density. The
rank of the truth among 99 independent draws is uniform over studies if density and simulator agree (Talts et al. 2018). Every component of
every parameter, the prevalence, the change between two groups (trait and control counts differ between them), and the log-likelihood
(Modrak et al. 2023) are test quantities. J = 3; 600 respondents with lists only, 80 to 200 with instruments; a quarter of the respondents
is not asked a direct question or the randomised response.

The draws are exact and need neither gradients nor a mode: the likelihood is let in by degrees, and at each degree points are drawn afresh
from a mixture of kernels around those of the one before and of the prior; the last round is weighted (self-normalised, Pareto-smoothed) and
99 of its points are drawn by weight. "Draws" are the effective ones of that round; "k > 0.7" counts studies whose weights are not to be
relied on, which are judged all the same: leaving them out would leave out certain truths. The functions that are sampled are held
against the model's own log-likelihood in every row.

Two constants of the models come from the data of a study: the directions of the shape of "softmax" counts, and the centre of the trait's
dependence on the count. Here both are held at those of one study, as priors that differ from study to study have no rank to be uniform.

A quantity is judged by the simultaneous 95 % band of its ECDF (Säilynoja, Bürkner & Vehtari 2022; ArviZ), and all quantities together by
Holm's adjustment of the p-values of the same statistic, within a row ("p, row") and over all rows; the verdict is by the latter.
"""

RELIABLE = """\
Many more are out of their own bands than a right density would have out where the weights of several studies of a row are not to be
relied on, which is mostly with Gaussian and Student t outcomes: where the errors are small, posteriors are a few narrow spikes that the
rounds miss, and the ranks are those of wrong draws. With three such studies the verdict on a row is left open. In the others somewhat
more are out than are expected; the quantities of a row go together, so that these numbers vary more than those of independent ones would:
"""

WRONG = """\
The same studies with a density that is wrong on purpose, judged in the same way: a mistake in the code looks like this. Sixty studies
a row have their limits: normal priors twice as wide, instead of a third as wide, were found out in one of three rows (a list alone with
binomial counts, p = 0.013), as the data outweigh priors that are too wide. Errors of this size need more studies (``--studies 300``).
"""

CHECKED = """\
## Against NUTS

`python -m benchmarks.calibration_catalogue check` samples one study of two rows both ways (two chains of 1,000 draws). The largest
differences over all quantities are about what the effective draws of both allow: the standard error of a difference of means is 0.054 sd
in the first row and 0.070 sd in the second.

| row | quantities | effective draws | of NUTS, least | its largest R-hat | largest difference of means, in sd | ratio of sds | largest difference of tail probabilities |
| --- | --- | --- | --- | --- | --- | --- | --- |
| list/truthful/softmax/shift | 10 | 522 | 983 | 1.002 | 0.063 | 0.941 to 1.048 | 0.063 |
| one_sided/truthful/binomial/shift | 10 | 299 | 619 | 1.005 | 0.101 | 0.876 to 1.053 | 0.044 |
"""  # noqa: E501

FIGURE = """\
```{image} _static/calibration_catalogue.svg
:alt: ECDF differences of the ranks of a list alone with truthful answers and binomial counts, as it is and with three wrong densities
```
"""
