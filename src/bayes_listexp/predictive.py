"""What the model says about answers, for all draws at once: predictive tables, log-likelihoods, and the trait by Bayes' rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import xarray as xr

from bayes_listexp.likelihood import SMALLEST, answer_probabilities, arm_slices
from bayes_listexp.model import ARMS, Blueprint, parameter_names, predict

CHUNK_BYTES = 100e6


class Patterns(NamedTuple):
    """The distinct observed cell × arm × answer combinations, and how many respondents each has: all shape (pattern,)."""

    cell: np.ndarray
    arm: np.ndarray
    answer: np.ndarray
    n: np.ndarray

    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        """Coordinates for a dim ``pattern``."""
        arms = np.array(ARMS, dtype=object)[self.arm]
        return {"cell": ("pattern", self.cell), "arm": ("pattern", arms), "answer": ("pattern", self.answer)}


def patterns(plan: Blueprint) -> Patterns:
    """Observed patterns of a blueprint, in the order of cells, arms and answers."""
    side_by_side = np.concatenate([plan.cells.control, plan.cells.treatment], axis=1)
    cell, column = np.nonzero(side_by_side)
    arm = (column > plan.J).astype(int)
    return Patterns(cell, arm, column - arm * (plan.J + 1), side_by_side[cell, column])


def log_likelihood(plan: Blueprint, posterior: xr.Dataset) -> xr.DataArray:
    """Log-probability of one respondent's answer per observed pattern: dims (chain, draw, pattern).

    Respondents of a pattern have the same value, so with the patterns' frequencies this is the log-likelihood of every
    respondent, as leave-one-out cross-validation needs it, at the size of the table and not of the sample.
    """
    observed = patterns(plan)
    column = observed.answer + observed.arm * (plan.J + 1)
    blocks = [np.log(total[:, observed.cell, column] + SMALLEST) for total, _ in _probabilities(plan, posterior)]
    return _by_draw(np.concatenate(blocks), posterior, "pattern", observed.coords())


def trait_given_answer(plan: Blueprint, posterior: xr.Dataset) -> xr.DataArray:
    """P(trait = 1 | answer, arm, cell) per observed pattern by Bayes' rule: dims (chain, draw, pattern)."""
    observed = patterns(plan)
    column = observed.answer + observed.arm * (plan.J + 1)
    blocks = [
        with_trait[:, observed.cell, column] / (total[:, observed.cell, column] + SMALLEST)
        for total, with_trait in _probabilities(plan, posterior)
    ]
    return _by_draw(np.concatenate(blocks), posterior, "pattern", observed.coords())


def replicated_answers(plan: Blueprint, parameters: xr.Dataset, *, draws: int, seed: int) -> xr.Dataset:
    """Tables of answers drawn from the model for the same cells and arm sizes, at ``draws`` evenly spaced parameter draws.

    Variables ``answer_control`` (chain, draw, cell, control_answer) and ``answer_treatment``.
    """
    every = max(1, int(np.ceil(parameters.sizes["draw"] * parameters.sizes["chain"] / draws)))
    thinned = parameters.isel(draw=slice(None, None, every))
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[np.ndarray]] = {arm: [] for arm in ARMS}
    for total, _ in _probabilities(plan, thinned):
        for arm, answers in arm_slices(plan.J).items():
            p = total[..., answers] / total[..., answers].sum(axis=-1, keepdims=True)
            drawn[arm].append(rng.multinomial(getattr(plan.cells, arm).sum(axis=1), p).astype("int32"))
    shape = (thinned.sizes["chain"], thinned.sizes["draw"])
    out = {
        f"answer_{arm}": (
            ("chain", "draw", "cell", f"{arm}_answer"),
            np.concatenate(blocks).reshape(*shape, *blocks[0].shape[1:]),
        )
        for arm, blocks in drawn.items()
    }
    return xr.Dataset(out, coords={"chain": thinned["chain"].to_numpy(), "draw": thinned["draw"].to_numpy()})


def observed_answers(plan: Blueprint) -> xr.Dataset:
    """The observed tables in the shape of the replicated ones, and the patterns' frequencies."""
    out = {f"answer_{arm}": (("cell", f"{arm}_answer"), getattr(plan.cells, arm)) for arm in ARMS}
    observed = patterns(plan)
    return xr.Dataset({**out, "pattern_n": ("pattern", observed.n)}, coords=observed.coords())


def answers_by_arm(observed: xr.Dataset, replicated: xr.Dataset, *, probability: float = 0.95) -> pd.DataFrame:
    """Observed number of answers beside their predictive mean and equal-tailed interval: one row per arm and answer."""
    tail = (1 - probability) / 2
    rows = []
    for arm in ARMS:
        counts = observed[f"answer_{arm}"].sum("cell").to_numpy()
        predicted = replicated[f"answer_{arm}"].sum("cell").stack(sample=("chain", "draw")).to_numpy()
        low, high = np.quantile(predicted, [tail, 1 - tail], axis=-1)
        rows += [
            (arm, k, int(c), float(predicted[k].mean()), float(low[k]), float(high[k])) for k, c in enumerate(counts)
        ]
    return pd.DataFrame(rows, columns=["arm", "answer", "n", "predicted", "lower", "upper"])


def _probabilities(plan: Blueprint, parameters: xr.Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """P(answer | cell) and P(trait = 1, answer | cell), each (some draws, cell, answer), in chunks over draws."""
    names = [name for name in parameter_names(plan) if name in parameters]
    flat = {name: parameters[name].to_numpy().reshape(-1, *parameters[name].shape[2:]) for name in names}
    inputs = {name: pt.tensor(name, dtype="float64", shape=(None, *value.shape[1:])) for name, value in flat.items()}
    evaluate = pytensor.function(
        list(inputs.values()), _outputs(plan, inputs), mode="FAST_COMPILE", on_unused_input="ignore"
    )
    total = len(next(iter(flat.values())))
    size = max(1, int(CHUNK_BYTES / (8 * len(plan.cells.frame) * (2 * plan.J + 3) * 4)))
    for start in range(0, total, size):
        yield tuple(evaluate(*(value[start : start + size] for value in flat.values())))


def _outputs(plan: Blueprint, inputs: Mapping[str, pt.TensorVariable]) -> list[pt.TensorVariable]:
    matrices = {name: bound.evaluate(plan.cells.frame) for name, bound in plan.designs.items()}
    predicted = predict(plan, inputs, matrices)
    with_trait = predicted.states * np.array([[0.0], [1.0]])
    return [answer_probabilities(states, plan.tables, predicted.lapses) for states in (predicted.states, with_trait)]


def _by_draw(
    values: np.ndarray, posterior: xr.Dataset, dim: str, coords: Mapping[str, tuple[str, np.ndarray]]
) -> xr.DataArray:
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    return xr.DataArray(
        values.reshape(*shape, -1),
        dims=("chain", "draw", dim),
        coords={"chain": posterior["chain"], "draw": posterior["draw"], **coords},
    )
