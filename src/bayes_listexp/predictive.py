"""What the model says, for all draws at once: predictive tables, log-likelihoods, the trait by Bayes' rule, and of a population."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import xarray as xr
from scipy.special import expit, logsumexp

from bayes_listexp.cells import ARMS, Incomplete
from bayes_listexp.instrument import Rows
from bayes_listexp.likelihood import SMALLEST, answer_probabilities, row_tables
from bayes_listexp.many_draws import in_chunks
from bayes_listexp.panel import log_given_effects
from bayes_listexp.persons import COUNT, TRAIT, Persons
from bayes_listexp.prediction import node_rule, parameter_names, points, predict, row_probabilities
from bayes_listexp.reporting import arm_slices
from bayes_listexp.specification import Blueprint


class Patterns(NamedTuple):
    """The distinct observations, and how many respondents each has: all shape (pattern,).

    Of a list alone they are the observed cell × arm × answer combinations; with instruments also what these observed.
    ``arm`` is a position in :data:`bayes_listexp.cells.ARMS`; arm and answer are -1 without an answer to the list. Respondents
    who lack covariates that are modelled come last, with cell -1. With person effects there is one pattern for each answer of
    those of whom the same is known in all waves, whose number is ``person``; without, this is None.
    """

    cell: np.ndarray
    arm: np.ndarray
    answer: np.ndarray
    n: np.ndarray
    observed: Mapping[str, np.ndarray]
    person: np.ndarray | None = None

    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        """Coordinates for a dim ``pattern``."""
        arms = np.array([*ARMS, "none"], dtype=object)[self.arm]
        named = {name.removeprefix("_"): ("pattern", values) for name, values in self.observed.items()}
        named |= {} if self.person is None else {"person": ("pattern", self.person)}
        return {"cell": ("pattern", self.cell), "arm": ("pattern", arms), "answer": ("pattern", self.answer), **named}


def patterns(plan: Blueprint) -> Patterns:
    """Observed patterns of a blueprint, in the order of cells, arms and answers, then those of incomplete respondents; where there
    are several lists, list by list.
    """
    each = [_patterns_of_list(part) for part in plan.parts]
    observed = {name: np.concatenate([own.observed[name] for own in each]) for name in each[0].observed}
    cell, arm, answer, n = (np.concatenate(field) for field in zip(*(own[:4] for own in each), strict=True))
    return Patterns(cell, arm, answer, n, observed, each[0].person)


def _patterns_of_list(plan: Blueprint) -> Patterns:
    """The patterns of those who were shown one list, with their cells' numbers among all cells."""
    placed = _placed_patterns(plan)
    placed = placed._replace(cell=_among_all(plan, placed.cell))
    if plan.cells.incomplete is None:
        return placed
    seen = plan.cells.incomplete.seen
    observed = {name: np.concatenate([values, seen.observed[name]]) for name, values in placed.observed.items()}
    return Patterns(
        np.concatenate([placed.cell, seen.cell]),
        np.concatenate([placed.arm, seen.arm]),
        np.concatenate([placed.answer, seen.answer]),
        np.concatenate([placed.n, seen.n]),
        observed,
    )


def _among_all(plan: Blueprint, cell: np.ndarray) -> np.ndarray:
    """The numbers of a list's cells among the cells of all lists."""
    return cell if plan.within is None else plan.within[cell]


def _placed_patterns(plan: Blueprint) -> Patterns:
    """The patterns of those whose cell is known."""
    if plan.persons is not None and plan.specification.person != "none":
        seen = plan.persons.seen
        return Patterns(seen.cell, seen.arm, seen.answer, seen.n, seen.observed, plan.persons.entries[0])
    if plan.rows is not None:
        return Patterns(plan.rows.cell, plan.rows.arm, plan.rows.answer, plan.rows.n, plan.rows.observed)
    side_by_side = np.concatenate(list(plan.cells.answers.values()), axis=1)
    cell, column = np.nonzero(side_by_side)
    slices = arm_slices(plan.J, plan.arms)
    starts = np.array([part.start for part in slices.values()])
    which = np.searchsorted(starts, column, side="right") - 1
    arm = np.array([ARMS.index(name) for name in slices])[which]
    return Patterns(cell, arm, column - starts[which], side_by_side[cell, column], {})


def log_likelihood(plan: Blueprint, posterior: xr.Dataset) -> xr.DataArray:
    """Log-probability of what was observed of one respondent per pattern: dims (chain, draw, pattern).

    Respondents of a pattern have the same value, so with the patterns' frequencies this is the log-likelihood of every
    respondent, as leave-one-out cross-validation needs it, at the size of the table and not of the sample. With person effects
    it is that of all that a person said, dims (chain, draw, person).
    """
    if plan.specification.person != "none":
        return _by_draw(np.concatenate([log_p for log_p, _ in _by_person(plan, posterior)]), posterior, "person", {})
    return _of_patterns(plan, posterior, lambda log_p: np.logaddexp(log_p[..., 0], log_p[..., 1]))


def trait_given_answer(plan: Blueprint, posterior: xr.Dataset) -> xr.DataArray:
    """P(trait = 1 | all that was observed, cell) per observed pattern by Bayes' rule: dims (chain, draw, pattern).

    With person effects what the same person said in other waves counts as well.
    """
    if plan.specification.person != "none":
        blocks = [having for _, having in _by_person(plan, posterior)]
        return _by_draw(np.concatenate(blocks), posterior, "pattern", patterns(plan).coords())
    return _of_patterns(plan, posterior, lambda log_p: expit(log_p[..., 1] - log_p[..., 0]))


class Placement(NamedTuple):
    """Where respondents are, or may be: position among the patterns and cell, (place,) each; one for each pattern whose cell is
    known and one for each candidate of the others.
    """

    pattern: np.ndarray
    cell: np.ndarray


def placement(plan: Blueprint) -> Placement:
    """The places of a blueprint's patterns, in their order; where there are several lists, list by list."""
    places, done = [], 0
    for part in plan.parts:
        own, some = _placed_patterns(part).cell, part.cells.incomplete
        pattern, cell = np.arange(len(own)), own
        if some is not None:
            may_be = [some.cell[patterns, candidates].ravel() for patterns, candidates in some.blocks]
            pattern = np.concatenate([pattern, len(own) + np.repeat(np.arange(len(some.n)), some.size)])
            cell = np.concatenate([own, *may_be])
        places.append(Placement(done + pattern, _among_all(part, cell)))
        done += len(own) + (0 if some is None else len(some.n))
    return Placement(*(np.concatenate(field) for field in zip(*places, strict=True)))


def place_probabilities(plan: Blueprint, posterior: xr.Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """P(place | all that was observed) and P(place, trait = 1 | all that was observed), (some draws, place) each."""
    if plan.specification.person != "none":
        yield from ((np.ones_like(having), having) for _, having in _by_person(plan, posterior))
        return
    numbers = sum(_row_numbers(part) for part in plan.parts)
    for lists in zip(*(_places_of_list(part, posterior, numbers) for part in plan.parts), strict=True):
        being, having = (np.concatenate(each, axis=1) for each in zip(*lists, strict=True))
        yield being, having


def _places_of_list(plan: Blueprint, posterior: xr.Dataset, numbers: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same of those who were shown one list."""
    for log_p, more in _by_row(plan, posterior, numbers):
        having = expit(log_p[..., 1] - log_p[..., 0])
        if plan.cells.incomplete is None:
            yield np.ones_like(having), having
            continue
        places, trait = [np.ones_like(having)], [having]
        for log_joint in _by_candidate(plan.cells.incomplete, more):
            joint = np.exp(log_joint - logsumexp(log_joint, axis=(-2, -1), keepdims=True)).reshape(len(more), -1, 2)
            places.append(joint.sum(axis=-1))
            trait.append(joint[..., 1])
        yield np.concatenate(places, axis=1), np.concatenate(trait, axis=1)


def trait_given_list(plan: Blueprint, posterior: xr.Dataset) -> xr.DataArray:
    """P(trait = 1 | answer to the list, cell), other instruments left out though the parameters know them."""
    return trait_given_answer(dataclasses.replace(plan, instruments=()), posterior)


def _by_person(plan: Blueprint, posterior: xr.Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Log P(all that was observed) of each person, (some draws, person), and P(trait = 1 | it) at each of their answers, (some
    draws, pattern): averaged over what the person's answers say of the person's effects.
    """
    persons = plan.persons
    assert persons is not None
    tables, at = row_tables(plan.tables, persons.rows, plan.J, plan.arms), points(plan, plan.cells.frame)
    person, row = persons.entries
    log_weights = np.zeros(0)

    def make(parameters: Mapping[str, Any]) -> list[Any]:
        nonlocal log_weights
        log_p, log_weights = log_given_effects(plan, parameters, at, persons.rows, tables)
        return [log_p]

    for (log_p,) in evaluate(plan, posterior, make, _person_numbers(plan, persons)):
        said = np.logaddexp(log_p[..., 0], log_p[..., 1])
        said = np.concatenate([said, np.zeros((*said.shape[:-1], 1))], axis=-1)[..., persons.row].sum(axis=-1) + log_weights[:, None]
        total = logsumexp(said, axis=-2)
        share = np.exp(said - total[:, None])
        yield total, (share[..., person] * expit(log_p[..., 1] - log_p[..., 0])[..., row]).sum(axis=-2)


def numbers_of_a_draw(plan: Blueprint) -> int:
    """About how many numbers the log-likelihood of everybody takes at one draw of the parameters."""
    if plan.specification.person != "none":
        assert plan.persons is not None
        return _person_numbers(plan, plan.persons)
    return sum(_row_numbers(part) + _cell_numbers(part) for part in plan.parts)


def _person_numbers(plan: Blueprint, persons: Persons) -> int:
    """About how many numbers one draw takes by :func:`_by_person`."""
    size = node_rule(plan, COUNT).nodes.size * (1 if plan.specification.person == "count" else node_rule(plan, TRAIT).nodes.size)
    return int(size * (len(persons.rows.n) * (plan.J + 1) * 4 + len(persons.entries[1]) * 3))


def quadrature_error(plan: Blueprint, posterior: xr.Dataset) -> float:
    """By how much the log-likelihood of all persons at the parameters' means would move with a rule for their effects twice as fine."""
    assert plan.persons is not None
    middle = posterior[list(parameter_names(plan))].mean(("chain", "draw")).expand_dims(chain=[0], draw=[0])
    slots = plan.persons.row.shape[1]
    as_if_longer = plan.persons._replace(row=np.pad(plan.persons.row, [(0, 0), (0, 3 * slots)], constant_values=-1))
    rules = (plan, dataclasses.replace(plan, persons=as_if_longer))
    coarse, fine = (log_likelihood(each, middle).to_numpy()[0, 0] @ plan.persons.n for each in rules)
    return float(abs(fine - coarse))


def replicated_answers(plan: Blueprint, parameters: xr.Dataset, *, draws: int, seed: int) -> xr.Dataset:
    """Tables of answers drawn from the model for the same cells and arm sizes, at ``draws`` evenly spaced parameter draws.

    Variables ``answer_control`` (chain, draw, cell, control_answer) and ``answer_treatment``; where there are several lists, those
    of each, as ``answer_control_B`` (chain, draw, cell_B, control_answer_B).
    """
    every = max(1, int(np.ceil(parameters.sizes["draw"] * parameters.sizes["chain"] / draws)))
    thinned = parameters.isel(draw=slice(None, None, every))
    rng = np.random.default_rng(seed)
    shape = (thinned.sizes["chain"], thinned.sizes["draw"])
    out: dict[str, Any] = {}
    for part in plan.parts:
        for arm, drawn in _replicated_of_list(part, thinned, rng).items():
            dims = ("chain", "draw", part.tagged("cell"), part.tagged(f"{arm}_answer"))
            out[part.tagged(f"answer_{arm}")] = (dims, drawn.reshape(*shape, *drawn.shape[1:]))
    return xr.Dataset(out, coords={"chain": thinned["chain"].to_numpy(), "draw": thinned["draw"].to_numpy()})


def _replicated_of_list(plan: Blueprint, parameters: xr.Dataset, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """New answers of those who were shown one list, by arm (draw, cell, answer)."""
    drawn: dict[str, list[np.ndarray]] = {arm: [] for arm in plan.arms}
    for (total,) in _probabilities(plan, parameters):
        for arm, answers in arm_slices(plan.J, plan.arms).items():
            p = total[..., answers] / total[..., answers].sum(axis=-1, keepdims=True)
            drawn[arm].append(rng.multinomial(plan.cells.answers[arm].sum(axis=1), p).astype("int32"))
    return {arm: np.concatenate(blocks) for arm, blocks in drawn.items()}


def observed_answers(plan: Blueprint) -> xr.Dataset:
    """The observed tables in the shape of the replicated ones, and the patterns' frequencies."""
    out = {part.tagged(f"answer_{arm}"): ((part.tagged("cell"), part.tagged(f"{arm}_answer")), table)
           for part in plan.parts for arm, table in part.cells.answers.items()}
    observed = patterns(plan)
    persons = {} if plan.persons is None else {"person_n": ("persons", plan.persons.n)}
    return xr.Dataset({**out, "pattern_n": ("pattern", observed.n), **persons}, coords=observed.coords())


def answers_by_arm(observed: xr.Dataset, replicated: xr.Dataset, *, probability: float = 0.95) -> pd.DataFrame:
    """Observed number of answers beside their predictive mean and equal-tailed interval: one row per arm and answer.

    Where there are several lists, the first column is their ``version``, as names of parameters have it.
    """
    tail = (1 - probability) / 2
    rows = []
    for version, arm, name in tables_of_answers(observed):
        cell, answer = map(str, observed[name].dims)
        counts = observed[name].sum(cell).to_numpy()
        predicted = replicated[name].sum(cell).transpose(answer, "chain", "draw").to_numpy().reshape(len(counts), -1)
        low, high = np.quantile(predicted, [tail, 1 - tail], axis=-1)
        rows += [(version, arm, k, int(c), float(predicted[k].mean()), float(low[k]), float(high[k])) for k, c in enumerate(counts)]
    table = pd.DataFrame(rows, columns=["version", "arm", "answer", "n", "predicted", "lower", "upper"])
    return table if table["version"].any() else table.drop(columns="version")


def tables_of_answers(observed: xr.Dataset) -> list[tuple[str, str, str]]:
    """The version (as names have it, "" with one list), arm and name of each table of answers, list by list in the order of arms."""
    names = [str(name) for name in observed if str(name).startswith("answer_")]
    parts = {name: name.removeprefix("answer_").partition("_") for name in names}
    versions = list(dict.fromkeys(label for _, _, label in parts.values()))
    return [(label, arm, name) for label in versions for arm in ARMS for name in names if parts[name][::2] == (arm, label)]


def of_population(
    plan: Blueprint, posterior: xr.Dataset, frame: pd.DataFrame, instrument: str | None = None, numbers: int | None = None
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """P(trait | x) at the rows of a frame, (some draws, row), and the distribution of what an instrument would observe of such
    people by trait, each (some draws, row, trait, ...), with P(count | trait) as ``count_given_trait``; in chunks over draws
    (of ``numbers`` per draw, where several lists are to have the same). Nobody of them has seen a list; with several lists, where the
    counts are those of a list, an instrument's distribution is that of a part.
    """
    plan = plan.parts[0]
    size = len(frame)
    nothing = {name: np.full(size, np.nan) for name in (plan.rows.observed if plan.rows is not None else ())}
    rows = Rows(np.arange(size), np.full(size, -1), np.full(size, -1), np.zeros(size), np.ones(size), np.ones(size), nothing)
    chosen = [i for i in plan.instruments if i.name == instrument]
    at = points(plan, frame)
    names: list[str] = []

    def make(parameters: Mapping[str, Any]) -> list[Any]:
        predicted = predict(plan, parameters, at)
        told = {k: v for i in chosen for k, v in i.distribution(rows, predicted.instruments, parameters, plan.J).items()}
        if chosen:
            told["count_given_trait"] = predicted.states / (predicted.states.sum(axis=-1, keepdims=True) + SMALLEST)
        names[:] = list(told)
        return [predicted.states[..., 1, :].sum(axis=-1), *told.values()]

    for prevalence, *told in evaluate(plan, posterior, make, numbers or size * 4 * (plan.J + 2)):
        yield prevalence, dict(zip(names, told, strict=True))


def _of_patterns(plan: Blueprint, posterior: xr.Dataset, of: Callable[[np.ndarray], np.ndarray]) -> xr.DataArray:
    """What ``of`` makes of log P(trait, all that was observed) (..., trait), of each pattern: dims (chain, draw, pattern)."""
    lists = [np.concatenate([of(log_p) for log_p in _by_pattern(part, posterior)]) for part in plan.parts]
    return _by_draw(np.concatenate(lists, axis=1), posterior, "pattern", patterns(plan).coords())


def _by_pattern(plan: Blueprint, posterior: xr.Dataset) -> Iterator[np.ndarray]:
    """Log P(trait, all that was observed) of each pattern of one list, (some draws, pattern, trait)."""
    for log_p, more in _by_row(plan, posterior, _row_numbers(plan)):
        if plan.cells.incomplete is None:
            yield log_p
        else:
            mixed = [logsumexp(log_joint, axis=-2) for log_joint in _by_candidate(plan.cells.incomplete, more)]
            yield np.concatenate([log_p, *mixed], axis=1)


def _by_candidate(incomplete: Incomplete, log_p: np.ndarray) -> Iterator[np.ndarray]:
    """Log P(candidate, trait, all that was observed | known covariates), (some draws, pattern, candidate, trait), block by block,
    from ``log_p`` (some draws, row, trait) of the rows that incomplete respondents may stand for.
    """
    for block in incomplete.blocks:
        log_share = np.log(incomplete.probability[block] + SMALLEST)
        yield log_p[:, incomplete.candidate[block]] + log_share[..., None]


def _row_numbers(plan: Blueprint) -> int:
    """About how many numbers one draw takes by :func:`_by_row`."""
    rows, some = len(_placed_patterns(plan).cell), plan.cells.incomplete
    return (rows + (0 if some is None else len(some.rows.n))) * (plan.J + 1) * 6 + (0 if some is None else int(some.size.sum()) * 6)


def _by_row(plan: Blueprint, posterior: xr.Dataset, numbers: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Log P(trait, all that was observed | cell), (some draws, row, trait): of the patterns whose cell is known, and of the rows
    that the others may stand for (none: of no rows).
    """
    seen, some = _placed_patterns(plan), plan.cells.incomplete
    rows = plan.rows or Rows(seen.cell, seen.arm, seen.answer, (seen.arm == 1) * 1.0, seen.n, seen.n, {})
    parts = [rows] if some is None else [rows, some.rows]
    told = [(part, row_tables(plan.tables, part, plan.J, plan.arms)) for part in parts]
    at = points(plan, plan.cells.frame)

    def make(parameters: Mapping[str, Any]) -> list[Any]:
        predicted = predict(plan, parameters, at)
        return [row_probabilities(plan, parameters, predicted, part, tables) for part, tables in told]

    for log_p, *more in evaluate(plan, posterior, make, numbers):
        yield log_p, more[0] if more else log_p[:, :0]


def _probabilities(plan: Blueprint, parameters: xr.Dataset) -> Iterator[tuple[np.ndarray, ...]]:
    """P(answer | cell), (some draws, cell, answer), in chunks over draws."""
    at = points(plan, plan.cells.frame)

    def make(inputs: Mapping[str, Any]) -> list[Any]:
        predicted = predict(plan, inputs, at)
        return [answer_probabilities(predicted.states, plan.tables, predicted.lapses)]

    yield from evaluate(plan, parameters, make, _cell_numbers(plan))


def _cell_numbers(plan: Blueprint) -> int:
    """About how many numbers one draw takes by :func:`_probabilities`."""
    return len(plan.cells.frame) * (3 * plan.J + 5) * 4


def evaluate(
    plan: Blueprint, parameters: xr.Dataset, make: Callable[[Mapping[str, Any]], Sequence[Any]], numbers: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """What ``make`` computes from parameters, for chunks of draws, in order; ``numbers`` is about how many one draw takes."""
    names = [name for name in parameter_names(plan) if name in parameters]
    flat = {name: parameters[name].to_numpy().reshape(-1, *parameters[name].shape[2:]) for name in names}
    inputs = {name: pt.tensor(name, dtype="float64", shape=(None, *value.shape[1:])) for name, value in flat.items()}
    outputs = [pt.as_tensor(output) for output in make(inputs)]
    compiled = pytensor.function(list(inputs.values()), outputs, mode="FAST_COMPILE", on_unused_input="ignore")
    yield from in_chunks(compiled, list(flat.values()), numbers)


def _by_draw(
    values: np.ndarray, posterior: xr.Dataset, dim: str, coords: Mapping[str, tuple[str, np.ndarray]]
) -> xr.DataArray:
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    return xr.DataArray(
        np.ascontiguousarray(values.reshape(*shape, -1)),  # as a stored tree has it: the order in memory moves last digits of sums
        dims=("chain", "draw", dim),
        coords={"chain": posterior["chain"], "draw": posterior["draw"], **coords},
    )
