"""Support per group from printed means alone: what a published list experiment says, with its uncertainty.

**Data.** The printed means are sample means of independent arms. Their variances are not printed and follow
from the means: the control variance is binomial times a variance ratio (lognormal prior fitted to 13 public
lists), the treatment variance adds that of the trait and a small covariance. Arms are random halves unless
their sizes are given. A printed digit stands for the interval it was rounded from, entered as the variance
of a uniform number on it.

**Nobody counts twice.** Each variable (gender, region, ...) divides the same respondents, so total row and
groups are not independent data. The level comes from the total row alone, once. A group enters by its
distance from the total, whose sampling distribution follows from the total being the share-weighted sum of
its parts (unreported and excluded respondents included); with equal variances that distance is independent
of the total, so nothing is counted twice. Distances within one variable and within another answer different
questions and are treated as independent: each group's posterior is right by itself, but statements on
groups of two variables together ignore their correlation. Where groups and total disagree beyond rounding
and the unreported share, the gap is added to the noise common to the groups of that variable, so that it
moves no group against another; the audit reports it.

**Coherence.** Prevalence and mean count of the groups average to those of the total in every draw, weighted
by share. The total's prevalence has a uniform prior. Each group's logit has a standard logistic prior
(uniform prevalence), and a common shift on the logit scale brings the average to the total.

The groups speak about the total's level in one way: no group may leave 0-1. A group printed far above the total
makes a high total less probable. For the level by the total row alone fit `total_only(table)`.

**Width.** With N = 400 and counts with a standard deviation near 0.9 the total's standard error is about
9.5 points; a group has that divided by the square root of its share. Means from weighted answers are wider
still: table and model do not know the weights.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pytensor.gradient import disconnected_grad

from bayes_listexp.errors import InputError
from bayes_listexp.importance import Approximation, compile_densities, corrected
from bayes_listexp.margins import KnownItem, evidence_words
from bayes_listexp.model import know
from bayes_listexp.published.audit import audit
from bayes_listexp.published.layout import Layout, Use, complete_use, lay_out, rounding_variance
from bayes_listexp.published.list_moments import LOG_RATIO_MEAN, LOG_RATIO_SD, control_variance, treatment_variance
from bayes_listexp.published.table import PublishedSupport, PublishedTable
from bayes_listexp.sampling import Sampler, compile_density, constrain, find_mode, sample_nuts

NUMBERS = 10_000  # about what one draw of the parameters takes to compute
NEWTON_STEPS = 5  # with the last step off by less than 0.002 for the most extreme of 100,000 prior draws
CORRELATION_SD = 0.25  # of count and trait: half a logit on every control item gives 0.23
MEAN_DEVIATION_SD = 1.0  # of a group's control mean, on the logit scale of the mean over J
WAVE_SD = 0.25  # change of the control mean between waves, on the same scale: about 0.2 of 4 items


def fit_published(
    table: PublishedTable,
    *,
    seed: int,
    use: Mapping[str, Use] | None = None,
    later: PublishedSupport | None = None,
    known_items: Sequence[KnownItem] = (),
    sampler: Sampler = Sampler(),  # noqa: B008 (a frozen record)
    method: Literal["nuts", "map"] = "nuts",
) -> xr.DataTree:
    """Posterior of the support of every row of a published table, and of a later wave's if one is given.

    `use` overrides, row by row, what `default_use` decides: "means", "support" or "exclude". `known_items` are what other
    surveys say of control items, with a discount: the mean count is then the sum of J item shares, each uniform
    before the data, and these margins inform it (a discount of 0 is this prior without the margin). `method` "map" is the
    quick look of :func:`bayes_listexp.fit`. Returns a
    DataTree with posterior (support and mean_control by `row`, 0-1 and items; support_later;
    variance_ratio; correlation; control_share) and, when sampled, sample_stats; attributes say what was assumed, used and
    found by the audit. Raises InputError for rows that cannot be used as asked, and another method.
    """
    if method not in ("nuts", "map"):
        raise InputError(f"method = '{method}': say 'nuts' or 'map'.")
    decided = complete_use(table, use)
    model = build_published_model(table, decided, later, known_items)
    if method == "nuts":
        draws, stats = sample_nuts(compile_density(model), sampler, seed)
        tree = xr.DataTree.from_dict({"posterior": constrain(model, draws), "sample_stats": stats})
    else:
        draws, approximation = _around_mode(model, sampler, seed)
        tree = xr.DataTree.from_dict({"posterior": constrain(model, draws).assign_attrs(approximation.attributes())})
    tree.attrs = _attributes(table, decided, later, seed)
    if known_items:
        tree.attrs["known_items"] = json.dumps([asdict(margin) for margin in known_items])
        assumed = json.loads(tree.attrs["assumptions"]) | {"control items": "shares uniform, their sum is the mean count"}
        assumed |= {f"control item {m.item}": f"known from elsewhere: {evidence_words(asdict(m))}" for m in known_items}
        tree.attrs["assumptions"] = json.dumps(assumed)
    return tree


def _around_mode(model: pm.Model, sampler: Sampler, seed: int) -> tuple[np.ndarray, Approximation]:
    """Unconstrained draws of a quick look, (1, draw, parameter), and how they stand to the posterior."""
    mode = find_mode(compile_density(model, mode="FAST_COMPILE"), seed)
    if mode.covariance is None:
        raise InputError("the posterior has no single mode; sample it (method 'nuts').")
    return corrected(compile_densities(model, NUMBERS), mode.point, mode.covariance, sampler.draws, seed)


def build_published_model(
    table: PublishedTable,
    use: Mapping[str, Use],
    later: PublishedSupport | None = None,
    known_items: Sequence[KnownItem] = (),
) -> pm.Model:
    """The PyMC model of a table; see the module's docstring. `use` names every row, as `complete_use`
    returns it.
    """
    layout = lay_out(table, use)
    parts = [table.total.name, *(part.name for part in layout.parts)]
    rows = [row.name for row in table.rows]
    with pm.Model(coords={"row": rows, "part": parts, "arm": ["control", "treatment"]}) as model:
        total_mean = _mean_of_items(table.J, known_items) if known_items else pm.Uniform("total_mean_control", 0, table.J)
        total_support = pm.Uniform("total_support", 0, 1)
        mean, support = _coherent_parts(layout, total_mean / table.J, total_support)
        mean = table.J * mean
        variances = _answer_variances(table.J)
        variance = pt.stack(variances(mean, support)) / _arm_sizes(table, layout)
        means = pt.stack([mean, mean + support])
        _total_likelihood(table, means[:, 0], variance[:, 0])
        if layout.numbers.size:
            _group_likelihood(layout, means[:, 1:], variance[:, 1:])
        shown = [parts.index(name) for name in rows]
        pm.Deterministic("support", support[shown], dims="row")
        pm.Deterministic("mean_control", mean[shown], dims="row")
        if later is not None:
            _later_wave(later, table.J, total_mean, variances)
    return model


def _mean_of_items(J: int, known_items: Sequence[KnownItem]) -> Any:
    """The mean control count as the sum of the items' shares, with what is known of some of them."""
    shares = pm.Uniform("item_share", 0, 1, shape=J)
    for margin in known_items:
        if not isinstance(margin.item, int) or not 1 <= margin.item <= J:
            raise InputError(f"KnownItem: item = {margin.item!r}: with J = {J} control items it must be 1 to {J}.")
        know(f"margin_item_{margin.item}", margin, shares[margin.item - 1])
    return pm.Deterministic("total_mean_control", shares.sum())


def _coherent_parts(layout: Layout, total_mean: Any, total_support: Any) -> tuple[Any, Any]:
    """Mean (over J) and prevalence of the total and all parts, (1 + parts,) each."""
    total = pt.stack([total_mean, total_support])
    if not layout.parts:
        return total[0][None], total[1][None]
    size = len(layout.parts)
    of_mean = pm.Normal("deviation_mean", 0, MEAN_DEVIATION_SD, shape=size)
    of_support = pm.Logistic("deviation_support", 0, 1, shape=size)
    parts = spread_around(total, pt.stack([of_mean, of_support]), layout.weights)
    both = pt.concatenate([total[:, None], parts], axis=1)
    return both[0], both[1]


def spread_around(totals: Any, deviations: Any, weights: np.ndarray) -> Any:
    """Probabilities whose logits are the `deviations` plus one shift per variable, chosen so that they
    average to the total.

    `totals` (quantities,) in 0-1, `deviations` (quantities, parts), `weights` (variables, parts) with rows
    that add up to one. The shift is found by Newton's method inside its bracket; the last step, taken at
    the solution, carries the gradient (implicit function theorem).
    """
    member = np.argmax(weights > 0, axis=0)
    inside = weights > 0
    target = pt.log(totals) - pt.log1p(-totals)
    spread = deviations[:, None, :]
    low = target[:, None] - pt.max(pt.where(inside, spread, -np.inf), axis=2)
    high = target[:, None] - pt.min(pt.where(inside, spread, np.inf), axis=2)

    def averaged(values: Any) -> Any:  # no BLAS product: compiling one costs more than it saves here
        return (values[:, None, :] * weights).sum(axis=-1)

    def newton(shift: Any) -> Any:
        probability = pt.sigmoid(shift[:, member] + deviations)
        mean = averaged(probability)
        slope = averaged(probability * (1 - probability)) / (mean * (1 - mean))
        return shift - (pt.log(mean) - pt.log1p(-mean) - target[:, None]) / slope

    shift = target[:, None] - averaged(deviations)
    for _ in range(NEWTON_STEPS):
        shift = pt.clip(newton(shift), low, high)
    return pt.sigmoid(newton(disconnected_grad(shift))[:, member] + deviations)


def _answer_variances(J: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Priors of the variance ratio and of the correlation of count and trait; the answer variances by arm
    given them.

    A count in 0..J varies at most J times the binomial; for J = 1 it is binomial.
    """
    correlation = pm.TruncatedNormal("correlation", 0, CORRELATION_SD, lower=-1, upper=1)
    if J == 1:
        ratio = pm.Deterministic("variance_ratio", pt.constant(1.0))
    else:
        log_ratio = pm.TruncatedNormal("log_variance_ratio", LOG_RATIO_MEAN, LOG_RATIO_SD, upper=float(np.log(J)))
        ratio = pm.Deterministic("variance_ratio", pt.exp(log_ratio))

    def variances(mean: Any, support: Any) -> tuple[Any, Any]:
        control = control_variance(mean, J, ratio)
        return control, treatment_variance(control, support, correlation)

    return variances


def _arm_sizes(table: PublishedTable, layout: Layout) -> Any:
    """Respondents by arm and part (total first): as given, or a random half of N times the share."""
    total = (table.total.n_control, table.total.n_treatment)
    given = [total if None not in total else None, *(part.sizes for part in layout.parts)]
    size = table.N * np.array([1.0, *(part.weight for part in layout.parts)])
    share = pm.Beta("control_share", size / 2, size / 2, dims="part")
    known = np.array([sizes is not None for sizes in given])
    exact = np.array([sizes or (1, 1) for sizes in given], dtype=float).T
    return pt.where(known, exact, pt.stack([size * share, size * (1 - share)]))


def _total_likelihood(table: PublishedTable, mean: Any, variance: Any) -> None:
    """The printed total means: normal, with the rounding of their last digit."""
    printed = (table.total.mean_control, table.total.mean_treatment)
    value = pm.Data("total_printed", np.array([number.value for number in printed]), dims="arm")
    rounding = np.array([rounding_variance(number.half_unit) for number in printed])
    pm.Normal("total_means", mean, pt.sqrt(variance + rounding), observed=value, dims="arm")


def _group_likelihood(layout: Layout, means: Any, variance: Any) -> None:
    """The printed numbers of the groups less the total's; `means` and `variance` of sample means are (arm,
    part).
    """
    number_of = pm.Data("number_of", layout.number_of)
    numbers = pm.Data("group_printed", layout.numbers)
    products = number_of[:, None, :] * number_of[None, :, :] * variance.flatten()
    covariance = products.sum(axis=-1) + pm.Data("noise", layout.noise)
    pm.MvNormal("group_numbers", (number_of * means.flatten()).sum(axis=-1), cov=covariance, observed=numbers)


def _later_wave(later: PublishedSupport, J: int, first_mean: Any, variances: Callable) -> None:
    """Another wave of the same list that states its support only: its difference in means, from N in a range.

    Its control mean is near the first wave's; variance ratio and correlation are the same.
    """
    low, high = later.respondents
    size = pm.Uniform("respondents_later", low, high) if low < high else pt.constant(float(low))
    move = pm.Normal("move_mean_later", 0, WAVE_SD)
    mean = J * pt.sigmoid(pt.log(first_mean) - pt.log(J - first_mean) + move)
    support = pm.Uniform("support_later", 0, 1)
    control, treatment = variances(mean, support)
    sd = pt.sqrt((control + treatment) / (size / 2) + rounding_variance(later.printed.half_unit))
    pm.Normal("difference_later", support, sd, observed=pm.Data("later_printed", later.printed.value))


def _attributes(table: PublishedTable, use: Mapping[str, Use], later: PublishedSupport | None, seed: int) -> dict[str, Any]:
    assumed = {
        "arm sizes": "as given where given, else random halves of N times the share",
        "log variance ratio": f"normal({LOG_RATIO_MEAN:.4f}, {LOG_RATIO_SD:.4f}), at most log J: 13 public lists",
        "correlation of count and trait": f"normal(0, {CORRELATION_SD}) within -1 to 1",
        "prevalence": "uniform for the total; logits of groups logistic(0, 1), shifted to average to the total",
        "group control means": f"logits normal(0, {MEAN_DEVIATION_SD}), shifted to average to the total",
        "sampling": "independent respondents, unweighted means",
    }
    wave = None
    if later is not None:
        wave = {"label": later.label, "support": later.support, "respondents": later.respondents}
        assumed["later control mean"] = f"logit within normal(0, {WAVE_SD}) of the first wave's"
    failures = [finding._asdict() for finding in audit(table) if not finding.passed]
    packages = ("bayes_listexp", "pymc", "pytensor", "nutpie", "numpy")
    return {
        "name": table.name,
        "J": table.J,
        "N": table.N,
        "seed": seed,
        "sha256": table.sha256,
        "use": json.dumps(dict(use)),
        "later": json.dumps(wave),
        "assumptions": json.dumps(assumed),
        "findings": json.dumps(failures),
        "versions": json.dumps({package: version(package) for package in packages}),
    }
