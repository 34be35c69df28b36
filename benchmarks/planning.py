"""The formulas of planning against simulation: each standard error, bias and power beside what simulated people give.

People are drawn one by one (trait, count, arm, cluster, wave), answer, and are estimated as a study would be; nothing of the
formulas enters. The last column is the distance in Monte Carlo standard errors.

``python benchmarks/planning.py`` prints docs/planning.md, in about two minutes on one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp import planning
from bayes_listexp.many_fits import prevalence_of_tables
from bayes_listexp.planning import Panel, Scenario

N = 240
PEOPLE = 600_000  # drawn at a time

PLAIN = planning.from_items([0.2, 0.4, 0.5, 0.7], 0.35)
LINKED = planning.from_items([0.2, 0.4, 0.5, 0.7], 0.35, correlation=-0.15, trait_correlation=[0.0, 0.25, 0.1, 0.0])


class Row(NamedTuple):
    """A formula's value and what simulation gives, with its Monte Carlo standard error."""

    what: str
    formula: float
    simulated: float
    error: float


def draw(scenario: Scenario, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Trait and count of that many people."""
    state = np.searchsorted(np.cumsum(scenario.types.ravel())[:-1], rng.random(shape), side="right")
    return np.divmod(state, scenario.J + 1)


def arms(shape: tuple[int, int], share: float, rng: np.random.Generator) -> np.ndarray:
    """Who is treated: a fixed number in each study, in random order (people are exchangeable, so the first ones will do)."""
    return np.broadcast_to(np.arange(shape[1]) < round(share * shape[1]), shape)


def dims(answers: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """The difference in means of each study (row)."""
    return np.where(treated, answers, 0).sum(1) / treated.sum(1) - np.where(treated, 0, answers).sum(1) / (~treated).sum(1)


def moments(answers: np.ndarray, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean answer of an arm in each study, and the estimated variance of that mean."""
    number = who.sum(1)
    centre = np.where(who, answers, 0).sum(1) / number
    return centre, np.where(who, (answers - centre[:, None]) ** 2, 0).sum(1) / (number - 1) / number


def repeated(one: Callable[[int, np.random.Generator], np.ndarray], studies: int, seed: int, n: int = N) -> np.ndarray:
    """Estimates of that many studies, drawn some at a time."""
    rng = np.random.default_rng(seed)
    block = max(1, PEOPLE // n)
    return np.concatenate([one(min(block, studies - start), rng) for start in range(0, studies, block)])


def spread(what: str, formula: float, estimates: np.ndarray) -> Row:
    """A standard error against the standard deviation of estimates."""
    sd = float(estimates.std(ddof=1))
    fourth = float(np.mean((estimates - estimates.mean()) ** 4)) / sd**4
    return Row(what, formula, sd, sd * sqrt(max(fourth - 1, 0.1) / (4 * len(estimates))))


def mean(what: str, formula: float, values: np.ndarray) -> Row:
    """An expectation or a probability against its mean in simulated studies."""
    return Row(what, formula, float(np.mean(values)), float(np.std(values)) / sqrt(len(values)))


def rows(studies: int, seed: int = 1) -> Iterator[Row]:
    """Every comparison in turn."""
    yield from lists(studies, seed)
    yield from panels(studies, seed)
    yield from questions(studies, seed)
    yield from careless(studies, seed)
    yield from clusters(studies, seed)
    yield from groups(studies, seed)
    yield from likelihoods(studies, seed)


def likelihoods(studies: int, seed: int) -> Iterator[Row]:
    """The Fisher information against maximum-likelihood estimates of many studies."""
    n, rng = 4000, np.random.default_rng(seed)
    uneven = planning.from_items([0.95, 0.7, 0.9, 0.2], 0.5)
    equal = planning.from_items([0.69] * 4, 0.5)
    cases = ((uneven, "softmax", "items of 95, 70, 90, 20 %, any counts"), (equal, "binomial", "equal items, binomial"))
    for scenario, counts, name in cases:
        answers = planning.simulate_answers(scenario, np.full(studies // 10, 0.5), n, 0.5, rng)
        found = prevalence_of_tables(*answers, counts=counts)
        se = sqrt(planning.likelihood_variance(scenario, counts=counts) / n)
        gain = planning.dim_variance(scenario) / n / se**2
        yield spread(f"likelihood, 4,000 respondents, {name} (efficiency {gain:.2f}): se", se, found.estimate)


def lists(studies: int, seed: int) -> Iterator[Row]:
    """One list: standard error, power, liars; several treatment lists; a second list."""
    share, n = 0.4, 1000
    rare = LINKED.with_prevalence(0.12)

    def one(size: int, rng: np.random.Generator) -> np.ndarray:
        trait, count = draw(rare, (size, n), rng)
        treated = arms((size, n), share, rng)
        y = count + trait * treated
        m1, v1 = moments(y, treated)
        m0, v0 = moments(y, ~treated)
        return np.stack([m1 - m0, v1 + v0], axis=1)

    found = repeated(one, studies // 4, seed, n)
    se = sqrt(planning.dim_variance(rare, share) / n)
    yield spread("difference in means, 40 % of 1,000 treated: se", se, found[:, 0])
    yield mean("the same: mean of the estimated variance", se**2, found[:, 1])
    z = found[:, 0] / np.sqrt(found[:, 1])
    yield mean("the same: power", planning.power(rare.prevalence, se), np.abs(z) > 1.959964)
    yield mean("the same: power, one-sided", planning.power(rare.prevalence, se, sides=1), z > 1.644854)

    def hiding(size: int, rng: np.random.Generator) -> np.ndarray:
        trait, count = draw(LINKED, (size, N), rng)
        treated = arms((size, N), 0.5, rng)
        hides = np.where(count == LINKED.J, 0.5, np.where(count == 0, 0.3, 0.0)) > rng.random((size, N))
        return dims(count + trait * treated * ~hides, treated)

    bias = planning.liar_bias(LINKED, ceiling=0.5, floor=0.3)
    yield mean("ceiling and floor liars: bias", bias, repeated(hiding, studies, seed) - LINKED.prevalence)

    items = [PLAIN, PLAIN.with_prevalence(0.1), PLAIN.with_prevalence(0.6)]
    table = planning.several_items(items, n=N)

    def several(size: int, rng: np.random.Generator) -> np.ndarray:
        control = draw(PLAIN, (size, round(table["n_control"][0])), rng)[1].mean(1)
        treated = (draw(item, (size, round(table["n_treatment"][0])), rng) for item in items)
        return np.stack([(trait + count).mean(1) - control for trait, count in treated], axis=1)

    found = repeated(several, studies, seed)
    for i in range(3):
        yield spread(f"three sensitive items, one control arm: se, item {i + 1}", table["se"][i], found[:, i])
    together = (np.corrcoef(found.T).sum() - 3) / 6
    error = (1 - together**2) / sqrt(studies)
    yield Row("the same: mean correlation of the estimates", float(table["correlation"].mean()), together, error)
    yield from double(studies, seed)


def double(studies: int, seed: int) -> Iterator[Row]:
    """Two lists whose counts go together, with the item on one of them."""
    agree, share = 0.4, 0.4

    def one(size: int, rng: np.random.Generator) -> np.ndarray:
        trait, first = draw(PLAIN, (size, N), rng)
        second = np.where(rng.random((size, N)) < agree, first, draw(PLAIN, (size, N), rng)[1])
        on_first = arms((size, N), share, rng)
        return np.stack([dims(first + trait * on_first, on_first), dims(second + trait * ~on_first, ~on_first)], axis=1)

    found = repeated(one, studies, seed)
    for weight, name in ((0.5, "mean"), (None, "best weights")):
        unit, w = planning.double_list_variance(PLAIN, PLAIN, agree, share, weight=weight)
        yield spread(f"double list, {name}: se", sqrt(unit / N), w * found[:, 0] + (1 - w) * found[:, 1])


def panels(studies: int, seed: int) -> Iterator[Row]:
    """The change between two waves, of other people and of the same."""
    later, agree, stays, share = PLAIN.with_prevalence(0.2), 0.6, 0.5, 0.4

    def change(size: int, rng: np.random.Generator) -> np.ndarray:
        out = []
        for scenario in (LINKED, LINKED.with_prevalence(0.2)):
            trait, count = draw(scenario, (size, N), rng)
            treated = arms((size, N), share, rng)
            out.append(dims(count + trait * treated, treated))
        return out[1] - out[0]

    unit = planning.change_variance(LINKED, LINKED.with_prevalence(0.2), shares=(share, share))
    yield spread("change, different people: se", sqrt(unit / N), repeated(change, studies, seed))

    correlation = stays * (0.2 - 0.35 * 0.2) / sqrt(0.35 * 0.65 * 0.2 * 0.8)  # a share of people keeps as much as it can of its trait
    for kind, shares in (("kept", (share, share)), ("swapped", (share, 1 - share)), ("fresh", (share, share))):

        def same(size: int, rng: np.random.Generator, kind: str = kind) -> np.ndarray:
            trait, count = draw(PLAIN, (size, N), rng)
            trait2, count2 = draw(later, (size, N), rng)
            count2 = np.where(rng.random((size, N)) < agree, count, count2)
            kept = trait * (rng.random((size, N)) < 0.2 / 0.35)  # all who have it in the second wave had it in the first
            trait2 = np.where(rng.random((size, N)) < stays, kept, trait2)
            treated = arms((size, N), share, rng)
            again = {"kept": treated, "swapped": ~treated}.get(kind)
            again = rng.permuted(treated, axis=1) if again is None else again
            return dims(count2 + trait2 * again, again) - dims(count + trait * treated, treated)

        panel = Panel(kind, counts=agree, traits=correlation)
        unit = planning.change_variance(PLAIN, later, shares=shares, panel=panel)
        yield spread(f"change, the same people, arms {kind}: se", sqrt(unit / N), repeated(same, studies, seed))


def questions(studies: int, seed: int) -> Iterator[Row]:
    """List and direct question of the same people."""
    denial, share = 0.4, 0.45

    def one(size: int, rng: np.random.Generator) -> np.ndarray:
        trait, count = draw(LINKED, (size, N), rng)
        yes = (trait == 1) & (rng.random((size, N)) > denial)
        treated = rng.permuted(arms((size, N), share, rng), axis=1)
        y = count + trait * treated
        d = yes.mean(1)
        sums = [[np.where(own & ~yes, y, 0).sum(1), (own & ~yes).sum(1)] for own in (treated, ~treated)]
        among = sums[0][0] / sums[0][1] - sums[1][0] / sums[1][1]
        return np.stack([d + (1 - d) * among, dims(y, treated) - d, d], axis=1)

    found = repeated(one, studies, seed)
    both, gap = planning.combined(LINKED, denial, share), planning.list_direct_gap(LINKED, denial, share)
    yield spread("list and direct question together: se", both.se(N), found[:, 0])
    yield mean("the same: bias", 0.0, found[:, 0] - LINKED.prevalence)
    yield spread("list minus direct question: se", gap.se(N), found[:, 1])
    yield spread("direct question with denials: se", planning.direct_question(LINKED, -denial * LINKED.prevalence).se(N), found[:, 2])


def careless(studies: int, seed: int) -> Iterator[Row]:
    """Careless answers under three designs of the control list."""
    share, J = 0.2, LINKED.J
    for how in ("uniform", "top"):
        table = planning.careless_designs(LINKED, share, n=N, how=how)
        for design, padded in (("conventional", 0), ("placebo", 2), ("mixed", 1)):

            def one(size: int, rng: np.random.Generator, padded: int = padded, how: str = how) -> np.ndarray:
                trait, count = draw(LINKED, (size, N), rng)
                treated = arms((size, N), 0.5, rng)
                longer = treated | (np.arange(N) >= N - padded * N // 4)
                most = J + longer
                lapse = most if how == "top" else rng.integers(0, most + 1)
                return dims(np.where(rng.random((size, N)) < share, lapse, count + trait * treated), treated)

            row, found = table.set_index("design").loc[design], repeated(one, studies, seed)
            yield mean(f"20 % careless ({how}), {design} list: bias", row["bias"], found - LINKED.prevalence)
            yield spread("the same: se", row["se"], found)


def clusters(studies: int, seed: int) -> Iterator[Row]:
    """Clusters whose members share counts and traits, with arms drawn within them, and with whole clusters in an arm."""
    size, icc_count, icc_trait = 12, 0.15, 0.1
    n = 40 * size
    for within in (True, False):

        def one(number: int, rng: np.random.Generator, within: bool = within) -> np.ndarray:
            shape = (number, n // size, size)
            trait, count = draw(PLAIN, shape, rng)
            common_trait, common_count = draw(PLAIN, (number, n // size, 1), rng)
            trait = np.where(rng.random(shape) < sqrt(icc_trait), common_trait, trait).reshape(number, n)
            count = np.where(rng.random(shape) < sqrt(icc_count), common_count, count).reshape(number, n)
            treated = arms((number, n), 0.5, rng)
            treated = rng.permuted(treated, axis=1) if within else treated
            return dims(count + trait * treated, treated)

        unit = planning.clustered_variance(PLAIN, size=size, icc_count=icc_count, icc_trait=icc_trait, within=within)
        plain = planning.dim_variance(PLAIN)
        name = "arms within clusters of 12" if within else "whole clusters of 12 in an arm"
        yield spread(f"{name} (design effect {unit / plain:.2f}): se", sqrt(unit / n), repeated(one, studies, seed, n))


def groups(studies: int, seed: int) -> Iterator[Row]:
    """Groups with partial pooling, and regions with an oversample."""
    sizes, between, centre = {"a": 400, "b": 150, "c": 60, "d": 60, "e": 30}, 0.1, -0.2
    unit = planning.dim_variance(PLAIN)
    table = planning.pooled_groups(sizes, unit, between, mean=centre)
    rng = np.random.default_rng(seed)
    v = unit / table["n"].to_numpy()
    truth = rng.normal(centre, between, (10 * studies, len(sizes)))
    own = rng.normal(truth, np.sqrt(v))
    weights = 1 / (between**2 + v)
    common = (own * weights).sum(1, keepdims=True) / weights.sum()
    pooled = common + table["weight"].to_numpy() * (own - common)
    excludes = np.abs(pooled) > 1.959964 * table["pooled_se"].to_numpy()
    for i, row in table[table["group"].isin(["a", "e"])].iterrows():
        error = pooled[:, i] - truth[:, i]
        n = int(row["n"])
        yield mean(f"partial pooling, {n} of 700 respondents: squared error", row["pooled_se"] ** 2, error**2)
        yield mean("the same: interval excludes 0", row["pooled_excludes_zero"], excludes[:, i])

    people = {"city": 0.1, "town": 0.3, "country": 0.6}
    regions = {"city": LINKED.with_prevalence(0.2), "town": LINKED, "country": LINKED.with_prevalence(0.7)}
    units = {name: planning.dim_variance(region) for name, region in regions.items()}
    plan = planning.allocation(people, N, exponent=0.3, unit=units)

    def total(size: int, rng: np.random.Generator) -> np.ndarray:
        out = np.zeros(size)
        for row in plan.itertuples():
            trait, count = draw(regions[row.region], (size, int(row.n)), rng)
            treated = arms(trait.shape, 0.5, rng)
            out += row.share * dims(count + trait * treated, treated)
        return out

    yield spread(f"oversampled regions (design effect {plan['design_effect'][0]:.2f}): se of the total", plan["total_se"][0],
                 repeated(total, studies, seed))  # fmt: skip


def comparison(studies: int, seed: int = 1) -> pd.DataFrame:
    """Formula and simulation of every row, and their distance in Monte Carlo standard errors."""
    out = pd.DataFrame(rows(studies, seed))
    out["distance"] = (out["simulated"] - out["formula"]) / out["error"]
    return out


def unknown_between(studies: int = 400, seed: int = 1) -> pd.DataFrame:
    """What it costs that the spread between groups has to be estimated: posterior over a grid with a half-normal(0.5) prior."""
    out = []
    grid = np.linspace(0.002, 1.0, 200)
    for number in (5, 10, 20):
        for each in (40, 150):
            v, between = planning.dim_variance(PLAIN) / each, 0.1
            known = planning.pooled_groups({str(g): each for g in range(number)}, v * each, between)["pooled_se"][0]
            rng = np.random.default_rng([seed, number, each])
            truth = rng.normal(0.4, between, (studies, number))
            own = rng.normal(truth, sqrt(v))
            total = grid**2 + v
            centre = own.mean(1, keepdims=True)
            sums = ((own - centre) ** 2).sum(1)[:, None]
            log = -0.5 * (number - 1) * np.log(total) - 0.5 * sums / total - 0.5 * (grid / 0.5) ** 2
            p = np.exp(log - log.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            w = grid**2 / total
            at = centre[..., None] + w * (own - centre)[..., None]  # study, group, grid
            m = (p[:, None] * at).sum(2)
            var = (p[:, None] * (w * v + (1 - w) ** 2 * total / number + (at - m[..., None]) ** 2)).sum(2)
            sd = np.sqrt(var)
            out.append((number, each, sqrt(v), known, float(np.sqrt(np.mean((m - truth) ** 2))), float(sd.mean()),
                        float((np.abs(m - truth) < 1.96 * sd).mean())))  # fmt: skip
    return pd.DataFrame(out, columns=["groups", "respondents each", "se alone", "se, spread known", "rmse, spread estimated",
                                      "posterior sd", "coverage of 95 %"])  # fmt: skip


def selection(pilots: int = 200, seed: int = 1) -> pd.DataFrame:
    """How lucky the best choice of 4 out of 10 items looks: its variance in the pilot against its true variance, and the true best."""
    shares = np.array([0.15, 0.25, 0.35, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.85])
    rng = np.random.default_rng(seed)
    signs = np.where(np.arange(10) % 2, 1, -1)
    large = _pilot(shares, signs, 200_000, rng)
    truth = planning.frontier(large, J=4).set_index("items")["variance"]
    out = []
    for n in (50, 100, 200, 500):
        found = [planning.frontier(_pilot(shares, signs, n, rng), J=4).iloc[0] for _ in range(pilots)]
        own, true = np.mean([row["variance"] for row in found]), np.mean([truth[row["items"]] for row in found])
        out.append((n, float(own), float(true), float(truth.min()), float(truth.mean())))
    return pd.DataFrame(out, columns=["pilot n", "variance in the pilot", "true variance", "of the best choice", "of the average choice"])


def _pilot(shares: np.ndarray, signs: np.ndarray, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Items that one attitude moves in opposite directions."""
    attitude = rng.normal(size=(n, 1))
    chance = 1 / (1 + np.exp(-(np.log(shares / (1 - shares)) + 0.8 * signs * attitude)))
    return pd.DataFrame((rng.random((n, len(shares))) < chance).astype(int), columns=[f"i{k}" for k in range(len(shares))])


def timing(studies: int = 10_000) -> pd.DataFrame:
    """Seconds that the planning of so many simulated studies of 1,000, before and after a change of -20 points, takes."""
    out = []
    for estimator in planning.ESTIMATORS:
        for workers in (1, 2):
            start = time.perf_counter()
            planning.assurance(LINKED, [1000], prevalence_sd=0.05, change=-0.2, estimator=estimator, studies=studies, workers=workers)
            out.append((estimator, workers, studies, time.perf_counter() - start))
    return pd.DataFrame(out, columns=["estimator", "processes", "studies (of two waves)", "seconds"])


def calibration(studies: int = 4000) -> pd.DataFrame:
    """How often the intervals of each estimator cover, at a prevalence and on average over a uniform belief of it."""
    out = []
    for estimator in planning.ESTIMATORS:
        for prevalence, sd, said in ((0.05, 0.0, "5 %"), (0.35, 0.0, "35 %"), (0.5, 0.2886, "anything, uniform")):
            scenario = PLAIN.with_prevalence(prevalence)
            table = planning.assurance(scenario, [200, 1000], prevalence_sd=sd, estimator=estimator, studies=studies)
            out += [(estimator, said, int(row.n), row.coverage, row.mean_width, row.bias, row.no_se) for row in table.itertuples()]
    return pd.DataFrame(out, columns=["estimator", "prevalence", "n", "coverage of 95 %", "mean width", "bias", "without s.e."])


def markdown(table: pd.DataFrame, digits: int = 4) -> str:
    """A table as Markdown."""
    cells = [[f"{v:.{digits}f}" if isinstance(v, float) else f"{v}" for v in row] for row in table.itertuples(index=False)]
    lines = ["| " + " | ".join(row) + " |" for row in [list(table.columns), *cells]]
    return "\n".join([lines[0], "|" + "---|" * table.shape[1], *lines[1:]])


TEXT = """# Planning the next study

`bayes_listexp.planning` and `bayes-listexp plan` say what a study of some size will be able to say. Everything follows from a *scenario*,
the joint distribution of the trait and the number of control items that apply (2 (J + 1) types of people); it comes from shares of the
control items and their correlations, from the mean and variance of a control arm, from a pilot, or from a study at hand. Each design then
has a *unit variance*: the number of respondents times the variance of its estimate. Printed by `python benchmarks/planning.py`, whose
docstring says how.

## Formulas against simulated people

Standard errors, biases and powers with {n} respondents unless said otherwise, and what {studies:,} simulated studies give ({some:,} for
1,000 respondents, a tenth for the likelihoods). `distance` is in Monte Carlo standard errors; its mean square is {square:.2f}, and 1 is
expected.

{comparison}

What stands out: people who keep their arms in both waves make the change more precise, people who swap arms make it less so (their counts
then enter twice). Arms drawn within clusters cost little, whole clusters in one arm much, because what a cluster's counts have in common
cancels in the difference. Powers are normal approximations; with fewer than 300 respondents they are up to half a point too low.

## What it costs that the spread between groups is not known

`pooled_groups` takes the standard deviation between groups as known (here 10 points). Estimated with a half-normal(0.5) prior, over
simulated sets of groups:

{between}

The root mean squared error is 4 to 15 % larger than the formula says, the more the fewer the respondents; the posterior is wider still
where the data leave the spread open.

## The luck of the best control items

The choice of 4 out of 10 items with the least variance in a pilot, over {pilots} simulated pilots: its variance there, its true variance,
and those of the truly best and of the average choice.

{selection}

A pilot of 100 promises a variance a quarter below what the list will have, and still picks a better list than an average one.

## Estimators of the assurance

Coverage of 95 % intervals, their mean width, the mean error of the estimate, and the share of studies without a standard error (the
likelihood has its maximum at a prevalence of 0 or 1; they count as not covering). Averaged over the prior that it uses, the posterior
covers as it should; at a rare trait it is pulled upwards.

{calibration}

## Time

Seconds for {timed:,} simulated studies of 1,000 respondents in each of two waves, on a busy machine with two cores. A further process
takes some seconds to start, which such a run does not win back; the results are the same whatever their number.

{timing}
"""

if __name__ == "__main__":
    STUDIES, PILOTS, TIMED = 40_000, 200, 10_000
    table = comparison(STUDIES)
    found = {
        "comparison": markdown(table), "between": markdown(unknown_between(2000), 3), "selection": markdown(selection(PILOTS), 3),
        "calibration": markdown(calibration(), 3), "timing": markdown(timing(TIMED), 1),
    }  # fmt: skip
    square = float((table["distance"] ** 2).mean())
    print(TEXT.format(n=N, studies=STUDIES, some=STUDIES // 4, square=square, pilots=PILOTS, timed=TIMED, **found), end="")
