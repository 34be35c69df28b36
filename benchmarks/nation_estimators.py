"""What is estimated of a simulated nation, and estimators of it that do not pool: differences in means, and every group by itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes_listexp import ListExperiment, difference_in_means
from bayes_listexp.simulate import OVERSAMPLE, Simulated

GROUPS = {"all": [], "region": ["region"], "region:ethnicity": ["region", "ethnicity"]}
"""Groups of people of whom there are estimands, with their columns."""


@dataclass(frozen=True)
class Estimands:
    """All estimands in their one order: group by group, levels by waves, then by changes.

    ``weights`` (cell of the frame, level) averages cells to the levels of a group; ``table`` has a row per estimand: ``group``,
    ``level``, ``kind`` ("prevalence", "wave to wave", "first to last") and ``when``.
    """

    weights: Mapping[str, np.ndarray]
    levels: Mapping[str, tuple[str, ...]]
    table: pd.DataFrame


def estimands(frame: pd.DataFrame, waves: tuple[str, ...]) -> Estimands:
    """The estimands of a frame."""
    weights, levels, rows = {}, {}, []
    moves = ["wave to wave"] * (len(waves) - 1) + ["first to last"]
    pairs = [*itertools.pairwise(waves), (waves[0], waves[-1])]
    for group, columns in GROUPS.items():
        label = pd.Series("all", index=frame.index) if not columns else frame[columns[0]].str.cat(frame[columns[1:]], sep=":")
        own = pd.get_dummies(label)[list(dict.fromkeys(label))].astype(float).mul(frame["N"], axis=0)
        weights[group], levels[group] = (own / own.sum()).to_numpy(), tuple(own.columns)
        rows += [(group, level, "prevalence", wave) for level in own.columns for wave in waves]
        rows += [(group, level, kind, " to ".join(pair)) for level in own.columns for kind, pair in zip(moves, pairs, strict=True)]
    return Estimands(weights, levels, pd.DataFrame(rows, columns=["group", "level", "kind", "when"]))


def with_changes(values: np.ndarray) -> np.ndarray:
    """Prevalences (..., level, wave) and their changes, as one axis in the order of the estimands."""
    moved = np.concatenate([np.diff(values, axis=-1), values[..., -1:] - values[..., :1]], axis=-1)
    return np.concatenate([part.reshape(*values.shape[:-2], -1) for part in (values, moved)], axis=-1)


def from_draws(by_group: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean and 95 % interval, (estimand, 3), of draws (draw, level, wave) by group."""
    draws = np.concatenate([with_changes(by_group[group]) for group in GROUPS], axis=-1)
    return np.column_stack([draws.mean(axis=0), *np.quantile(draws, [0.025, 0.975], axis=0)])


def true_values(simulated: Simulated, targets: Estimands, waves: tuple[str, ...]) -> np.ndarray:
    """What is true, (estimand,)."""
    truth = simulated.truth.set_index(["group", "level", "wave"])["prevalence"]
    return np.concatenate([with_changes(np.array([[truth[group, level, wave] for wave in waves] for level in levels]))
                           for group, levels in targets.levels.items()])  # fmt: skip


def by_difference(study: ListExperiment, targets: Estimands, *, weighted: bool) -> np.ndarray:
    """Estimate and normal 95 % interval, (estimand, 3); NaN where an arm has nobody (or one, for the interval)."""
    parts = []
    for group, columns in GROUPS.items():
        table = difference_in_means(study, by=["wave", *columns], weighted=weighted)
        label = pd.Series("all", index=table.index) if not columns else \
            table[columns[0]].astype(str).str.cat(table[columns[1:]].astype(str), sep=":")  # fmt: skip
        index = pd.MultiIndex.from_product([targets.levels[group], study.waves])
        full = table.set_index([label, table["wave"].astype(str)])[["estimate", "se"]].reindex(index)
        estimate, se = (full[name].to_numpy().reshape(-1, len(study.waves)) for name in ("estimate", "se"))
        moved = np.hypot(se[:, 1:], se[:, :-1]), np.hypot(se[:, -1:], se[:, :1])
        error = norm.ppf(0.975) * np.concatenate([se.ravel(), np.concatenate(moved, axis=1).ravel()])
        centre = with_changes(estimate)
        parts.append(np.column_stack([centre, centre - error, centre + error]))
    return np.concatenate(parts)


def no_pooling(counts: Mapping[str, np.ndarray], frame: pd.DataFrame, targets: Estimands, seed: int, *, draws: int = 2000) -> np.ndarray:
    """Mean and 95 % interval, (estimand, 3), of every group and wave by itself; ``counts`` are (cell, wave, answer) by arm."""
    design = frame["region"].where(frame["region"].isin(list(OVERSAMPLE)), "rest")
    strata = pd.get_dummies(design + frame["education"]).astype(float)
    members = {"all": strata.to_numpy(), **{group: (targets.weights[group] > 0).astype(float) for group in list(GROUPS)[1:]}}
    totals = [np.einsum("cg,cwa->gwa", np.hstack(list(members.values())), counts[arm]) for arm in ("control", "treatment")]
    rng, flat = np.random.default_rng(seed), [t.reshape(-1, t.shape[-1]).astype("int64") for t in totals]
    alone = separate_posteriors(flat[0], flat[1], rng, draws=draws).reshape(draws, -1, totals[0].shape[1])
    parts = np.split(alone, np.cumsum([m.shape[1] for m in members.values()])[:-1], axis=1)
    shares = frame["N"].to_numpy() @ strata.to_numpy() / frame["N"].sum()
    return from_draws(dict(zip(GROUPS, [np.einsum("dsw,s->dw", parts[0], shares)[:, None], *parts[1:]], strict=True)))


def separate_posteriors(
    control: np.ndarray, treatment: np.ndarray, rng: np.random.Generator, *, draws: int = 2000, thin: int = 4, burn: int = 1000
) -> np.ndarray:
    """Draws (draw, stratum) of the prevalence in strata that share nothing, from the ``control`` (stratum, J + 1) and ``treatment``
    (stratum, J + 2) answers, whose control counts have the same distribution: who of the treatment arm has the trait is drawn,
    then the prevalence (prior uniform) and the counts' distribution (prior Dirichlet(1/2)) given that.
    """
    p, pmf = np.full(len(control), 0.4), np.full(control.shape, 1 / control.shape[1])
    having, without, out = np.zeros(treatment.shape), np.zeros(treatment.shape), np.empty((draws, len(control)))
    for i in range(-burn, draws * thin):
        having[:, 1:], without[:, :-1] = p[:, None] * pmf, (1 - p)[:, None] * pmf
        holders = rng.binomial(treatment, having / np.maximum(having + without, 1e-300))
        others = treatment - holders
        p = rng.beta(1.0 + holders.sum(axis=1), 1.0 + others.sum(axis=1))
        weights = rng.standard_gamma(0.5 + control + others[:, :-1] + holders[:, 1:])
        pmf = weights / weights.sum(axis=1, keepdims=True)
        if i >= 0:
            out[i // thin] = p
    return out
