"""From a PyMC model to draws: one compiled log density with gradient, NUTS by nutpie, the mode, and transforms back."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import nutpie
import pymc as pm
import pytensor
import xarray as xr
from nutpie.compiled_pyfunc import from_pyfunc
from nutpie.sample import CompiledModel
from pymc.distributions.shape_utils import change_dist_size
from pytensor import tensor as pt
from pytensor.compile.mode import get_mode
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.rewriting.basic import in2out, node_rewriter
from pytensor.scalar.basic import Second
from pytensor.scalar.math import Softplus
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.type_other import NoneTypeT
from scipy.optimize import minimize

from bayes_listexp import machine_code
from bayes_listexp.coordinates import UNSIGNED, Axes, Signs
from bayes_listexp.errors import InputError
from bayes_listexp.many_draws import in_chunks

STARTS = 4
"""Starting points of the search for a mode: mixtures can have more than one."""

FLATTEST = 1e-4
"""Least curvature of a mode: a standard deviation of 100 on the scale of logits and scaled slopes is a mode at infinity."""

LEAST_DRAWS = 20
"""Draws of a chain below which an interrupted run leaves nothing: no check could say anything of them."""

MOST_OPERANDS = 30
"""How many terms an interpreted addition may have: NumPy's limit of operands is 32."""


@node_rewriter([pt.add])
def _few_at_a_time(_: Any, node: Any) -> list[Any] | None:
    """An addition of many terms as one of partial sums: PyMC adds up all terms of a model at once."""
    if len(node.inputs) <= MOST_OPERANDS:
        return None
    parts = [node.inputs[i : i + MOST_OPERANDS] for i in range(0, len(node.inputs), MOST_OPERANDS)]
    return [pt.add(*(pt.add(*part) if len(part) > 1 else part[0] for part in parts))]


@node_rewriter([Elemwise])
def _by_ufuncs(_: Any, node: Any) -> list[Any] | None:
    """What NumPy has no function for, and would be computed number by number."""
    if isinstance(node.op.scalar_op, Softplus):
        (x,) = node.inputs
        return [pt.maximum(x, 0.0) + pt.log1p(pt.exp(-pt.abs(x)))]
    if isinstance(node.op.scalar_op, Second):
        like, value = node.inputs
        return [pt.switch(pt.eq(like, like), value, value)]
    return None


INTERPRETED = (
    get_mode("FAST_COMPILE")
    .excluding("local_add_canonizer", "local_sum_make_vector", "ShapeOpt", "UnShapeOpt")
    .register((in2out(_few_at_a_time), 2.5), (in2out(_by_ufuncs), 2.6))
)
"""For what is computed a few times, and models of any number of terms; to follow every shape would cost more than it saves."""

ONCE = INTERPRETED.excluding("canonicalize", "specialize")
"""For what is computed once."""


class Sampler(NamedTuple):
    """Settings of NUTS: draws and tuning steps per chain, chains, target acceptance, whether to show progress, and how many
    chains may run at once (None: as many as there are processors). The last two leave every draw as it is.
    """

    draws: int = 1500
    tune: int = 1000
    chains: int = 4
    target_accept: float = 0.9
    progress: bool = False
    cores: int | None = None


class Density(NamedTuple):
    """Log density and gradient on the unconstrained scale, as one function of one vector, and where to start.

    ``code`` gives the machine code beneath the function, if there is any, and the arrays that it takes after the vector.
    """

    function: Callable[[np.ndarray], tuple[float, np.ndarray]]
    start: np.ndarray
    code: Callable[[], tuple[Any, list[np.ndarray]]] | None = None


class Mode(NamedTuple):
    """A mode on the unconstrained scale, (parameter,), its log density, and the inverse of minus the Hessian there.

    ``covariance`` is None where the density does not curve in every direction: the mode is not unique or lies at infinity
    (a lapse probability of 0, say), and no normal distribution approximates the density.
    """

    point: np.ndarray
    log_density: float
    covariance: np.ndarray | None


def compile_density(model: pm.Model, mode: str = "NUMBA") -> Density:
    """Compile the model's log density and gradient. Data enter as shared variables, so the compiled code is cached on
    disk and serves later processes and other data of the same shape of model.

    The function sees other values that are given to the model's data afterwards; not while it is being sampled.
    """
    initial = initial_values(model)
    with _uncollected():
        function = model.logp_dlogp_function(
            ravel_inputs=True, initial_point=initial, mode=INTERPRETED if mode == "FAST_COMPILE" else mode
        )
    function.set_extra_values({})
    compiled = function._pytensor_function
    compiled.trust_input = True
    start = np.concatenate([np.ravel(value) for value in initial.values()]).astype(float)
    return _by_machine_code(compiled, start) if mode == "NUMBA" else Density(compiled, start)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cyclic garbage: a graph is millions of objects that stay, and it would go through them again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _by_machine_code(compiled: Any, start: np.ndarray) -> Density:
    """The machine code of a compiled function, called without the function's storage, which chains would share.

    A PyTensor function writes its argument and its result into slots of its own, so two chains that call it at once
    would read each other's numbers. The code beneath takes all inputs as arguments.
    """
    code = compiled.vm.jit_fn
    inputs = compiled.maker.fgraph.inputs
    storage = [compiled.vm.storage_map[variable] for variable in inputs]
    if any(variable.owner is not None for variable in inputs) or storage[0][0] is not None:
        raise RuntimeError(f"the compiled density does not take its argument first: {inputs}")
    data = storage[1:]

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = code(x, *[slot[0] for slot in data])
        return float(value), gradient

    return Density(evaluate, start, lambda: (code, [slot[0] for slot in data]))


def sample_nuts(
    density: Density, sampler: Sampler, seed: int, mode: Mode | None = None, along: np.ndarray | None = None, signs: Signs = UNSIGNED
) -> tuple[np.ndarray, xr.Dataset]:
    """Draws on the unconstrained scale, (chain, draw, parameter), and the sampler's statistics per draw.

    With a ``mode`` that has a covariance the chains move in coordinates in which the curvature there, in the directions of the
    parameters ``along`` (their positions; all without), is the same for all: those that go together need neither small steps nor a
    long tuning. It helps where the posterior is nearly normal: leave group effects and their standard deviations out. These may move
    through 0 instead, where ``signs`` says so. The posterior is the same, and so are the starting points.

    Ctrl-C ends sampling early. What there is by then comes back, and the statistics' attribute ``interrupted`` says how much it is.

    Raises
    ------
    KeyboardInterrupt : Ctrl-C, and no chain has :data:`LEAST_DRAWS` draws yet.
    """
    axes = Axes(signs=signs)
    if mode is not None and mode.covariance is not None:
        axes = Axes.at(mode.point, mode.covariance, np.arange(len(density.start)) if along is None else along, signs)
    compiled = _sampled(density, axes)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found chain dimension")  # of what is hardly begun when it is interrupted
        tree = nutpie.sample(
            compiled,
            draws=sampler.draws,
            tune=sampler.tune,
            chains=sampler.chains,
            cores=sampler.cores,
            seed=seed,
            target_accept=sampler.target_accept,
            progress_bar=sampler.progress,
            save_warmup=False,
        )
    stats = tree["sample_stats"].to_dataset()
    wanted = ["depth", "maxdepth_reached", "diverging", "energy", "logp", "n_steps", "step_size", "mean_tree_accept"]
    kept = stats[[name for name in wanted if name in stats]].rename(
        {"depth": "tree_depth", "maxdepth_reached": "reached_max_treedepth", "mean_tree_accept": "acceptance_rate"}
    )
    kept.attrs = {}
    draws, kept = _what_there_is(tree["posterior"]["unconstrained"].to_numpy(), kept, sampler)
    return axes.back(draws), kept


def _sampled(density: Density, axes: Axes) -> CompiledModel:
    """The density in its coordinates as nutpie takes it: by its machine code where there is any, else as a function of Python."""
    size = len(density.start)
    if density.code is not None:
        density.function(density.start)  # which is when numba compiles
        code, data = density.code()
        return machine_code.sampled(code, data, size, axes, lambda chain_seed: _started(density, axes, chain_seed))
    return from_pyfunc(
        size,
        lambda: axes.along(density.function),
        lambda *_: lambda x: {"unconstrained": x},
        [np.dtype("float64")],
        [(size,)],
        ["unconstrained"],
        make_initial_point_fn=lambda chain_seed: _started(density, axes, chain_seed),
    )


def _what_there_is(draws: np.ndarray, stats: xr.Dataset, sampler: Sampler) -> tuple[np.ndarray, xr.Dataset]:
    """The draws as they are, or those of an interrupted run, which nutpie fills up with NaN, as chains of one length: the most it has."""
    lengths = np.isfinite(draws).all(axis=-1).sum(axis=1)
    if len(lengths) == sampler.chains and (lengths == sampler.draws).all():
        return draws, stats
    order = np.argsort(-lengths, kind="stable")
    best = int(np.argmax(lengths[order] * np.arange(1, len(order) + 1)))
    which, length = np.sort(order[: best + 1]), int(lengths[order[best]])
    if length < LEAST_DRAWS:
        raise KeyboardInterrupt
    stats = stats.isel(chain=which, draw=slice(length)).assign_coords(chain=np.arange(len(which)))
    stats.attrs["interrupted"] = f"{len(which)} of {sampler.chains} chains, with {length:,} of {sampler.draws:,} draws each"
    return draws[which, :length], stats


def _started(density: Density, axes: Axes, chain_seed: int) -> np.ndarray:
    return axes.of(jittered(density.start, chain_seed))


def find_mode(density: Density, seed: int) -> Mode:
    """The highest of the modes found from several starts, with the curvature there.

    Raises
    ------
    InputError : the density is not finite from any start.
    """
    starts = [density.start, *(jittered(density.start, seed + i) for i in range(1, STARTS))]
    found = [
        minimize(
            lambda x: _negated(density, x), start, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 2000}
        )
        for start in starts
    ]
    finite = [result for result in found if np.isfinite(result.fun)]
    if not finite:
        raise InputError("no mode was found: the log density is not finite from any start.")
    best = min(finite, key=lambda result: result.fun)
    hessian = _hessian(density, best.x)
    eigenvalues = np.linalg.eigvalsh(hessian)
    if eigenvalues[0] <= max(1e-8 * eigenvalues[-1], FLATTEST):
        return Mode(best.x, -float(best.fun), None)
    return Mode(best.x, -float(best.fun), np.linalg.inv(hessian))


@lru_cache(maxsize=2)
def initial_values(model: pm.Model) -> dict[str, np.ndarray]:
    """PyMC's initial point, by the name of each value variable and in their order: computed once, as PyMC compiles a function each time."""
    initial = model.initial_point()
    return {v.name: initial[v.name] for v in model.value_vars}


def split(model: pm.Model, points: np.ndarray) -> list[np.ndarray]:
    """Unconstrained ``points`` (point, parameter) as one array (point, ...) for each value variable."""
    shapes = [np.shape(value) for value in initial_values(model).values()]
    parts = np.split(points, np.cumsum([np.prod(shape, dtype=int) for shape in shapes])[:-1], axis=1)
    return [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]


def constrain(model: pm.Model, draws: np.ndarray) -> xr.Dataset:
    """Parameters and deterministics at unconstrained ``draws`` (chain, draw, parameter), computed for many draws at once."""
    shape, size = draws.shape[:2], draws.shape[-1]
    names, compute = _compiled_constraints(model)
    parts = zip(*in_chunks(compute, split(model, draws.reshape(-1, size)), 4 * size), strict=True)
    values = (np.concatenate(part) for part in parts)
    return as_dataset(model, {name: value.reshape(*shape, *value.shape[1:]) for name, value in zip(names, values, strict=True)})


@lru_cache(maxsize=2)
def _compiled_constraints(model: pm.Model) -> tuple[list[str], Callable[..., list[np.ndarray]]]:
    """Names of parameters and deterministics, and the function from (draw, ...) of every value variable to them."""
    batched = [
        pytensor.tensor.tensor(name, dtype="float64", shape=(None, *np.shape(value)))
        for name, value in initial_values(model).items()
    ]
    outputs = [v for v in model.unobserved_value_vars if not v.name.endswith(("__", "_z"))]
    replaced = vectorize_graph(outputs, dict(zip(model.value_vars, batched, strict=True)))
    return [v.name for v in outputs], pytensor.function(batched, replaced, mode=INTERPRETED, on_unused_input="ignore")


def draw_prior(model: pm.Model, variables: Sequence[Any], number: int, seed: int) -> dict[str, np.ndarray]:
    """``number`` draws of ``variables`` of the model from its prior, (draw, ...) each, drawn all at once."""
    drawn: dict[Any, Any] = {}
    for variable in model.free_RVs:
        drawn[variable] = _repeated(variable, number, drawn)
    outputs = vectorize_graph(list(variables), drawn)
    values = pm.compile([], outputs, random_seed=seed, mode=ONCE)()
    return {
        v.name: np.broadcast_to(value, (number, *value.shape[value.ndim - v.ndim :])).copy()
        for v, value in zip(variables, values, strict=True)
    }


def _repeated(variable: Any, number: int, drawn: Mapping[Any, Any]) -> Any:
    """``number`` independent copies of a scalar distribution's variable, (draw, ...), given those of the variables it depends on."""
    node = variable.owner
    before = node.op.dist_params(node)
    after = vectorize_graph(before, drawn) if drawn else before
    if all(new.ndim == old.ndim for old, new in zip(before, after, strict=True)):
        return change_dist_size(variable, (number,), expand=True)
    parameters = [
        new if new.ndim == old.ndim else new.dimshuffle(0, *["x"] * (variable.ndim - old.ndim), *range(1, new.ndim))
        for old, new in zip(before, after, strict=True)
    ]
    own = node.op.size_param(node)  # not the variable's shape, which would keep the one draw in the graph
    size = None if isinstance(own.type, NoneTypeT) else pt.concatenate([[number], own])
    _, many = node.op(*parameters, size=size, rng=node.op.rng_param(node), return_next_rng=True)
    return many


def as_dataset(model: pm.Model, values: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Draws of model variables, each (chain, draw, ...), with the model's dims and coordinates."""
    variables = {}
    for name, value in values.items():
        dims = model.named_vars_to_dims.get(name) or _own_dims(name, value.ndim - 2)
        variables[name] = (("chain", "draw", *dims), value)
    used = {dim for dims, _ in variables.values() for dim in dims}
    coords: dict[str, Any] = {name: list(v) for name, v in model.coords.items() if v is not None and name in used}
    first = next(iter(values.values()))
    return xr.Dataset(
        variables, coords={"chain": np.arange(first.shape[0]), "draw": np.arange(first.shape[1]), **coords}
    )


def _own_dims(name: str, size: int) -> list[str]:
    """Names for the axes of a variable that has none."""
    return [f"{name}_dim{f'_{i}' if size > 1 else ''}" for i in range(size)]


def jittered(start: np.ndarray, seed: int) -> np.ndarray:
    """A start moved by up to one unit in each direction of the unconstrained scale."""
    return start + np.random.default_rng(seed).uniform(-1, 1, size=start.shape)


def _negated(density: Density, x: np.ndarray) -> tuple[float, np.ndarray]:
    value, gradient = density.function(np.ascontiguousarray(x))
    return (-value, -gradient) if np.isfinite(value) else (np.inf, np.zeros_like(x))


def _hessian(density: Density, x: np.ndarray) -> np.ndarray:
    """Minus the second derivatives, by central differences of the gradient."""
    step = 1e-5 * np.maximum(1.0, np.abs(x))
    rows = [
        (_negated(density, x + e)[1] - _negated(density, x - e)[1]) / (2 * s)
        for e, s in zip(np.diag(step), step, strict=True)
    ]
    matrix = np.array(rows)
    return (matrix + matrix.T) / 2
