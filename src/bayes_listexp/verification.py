"""Whether a stored fit is what was fitted: hashes of its parts, and the log density at some of its draws, computed once more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from bayes_listexp import predictive, stored
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Density, compile_density

CHECKED = 5
"""Draws at which the log density is computed again, from the first to the last."""

CLOSE = 1e-6
"""Relative difference of two log densities that rounding explains: other processors add in another order."""

DATA = ("cells", "rows", "incomplete", "persons", "population", "report_tables", "observed_data")
"""Groups of a fit that hold its data; the others hold what was made of them."""


class Verified(NamedTuple):
    """One check of a stored fit: its name, whether it passed (None: it could not be made, or is for information), and the finding."""

    name: str
    passed: bool | None
    text: str


def verify(tree: xr.DataTree, study: ListExperiment | None = None) -> list[Verified]:
    """Hold a stored fit against what it says of itself, and with ``study`` against the data: one line per check.

    The hashes of its data, its draws, and of specification, seed and settings are computed again; so are, from the stored data and
    specification, the log likelihood of every observation and the log density of the model at five of the draws. Other versions of the
    packages than the fit was made with are named; with them the same seed may give other draws.
    """
    if "specification" not in tree.attrs:
        return [Verified("contents", None, "This fit is of a published table, which has no stored data to compute anything from.")]
    found = [*_hashes(tree), _of_run(tree), _of_versions(tree)]
    if study is not None:
        found.append(_of_study(tree, study))
    if "posterior" in tree.children:
        found += [_computed(check, tree, name) for check, name in ((_likelihood, "log likelihood"), (_density, "log density"))]
    return found


def digest(group: xr.Dataset) -> str:
    """SHA-256 of the names, shapes and values of a group's variables: the same before and after it was stored."""
    out = hashlib.sha256()
    for name in sorted(map(str, group.variables)):
        values = group[name].to_numpy()
        if values.dtype.kind in "biuf":
            numbers = values.astype(float)
            content = np.where(np.isnan(numbers), np.nan, numbers).tobytes()
        else:
            content = "\0".join(map(str, values.ravel())).encode()
        out.update(json.dumps([name, list(map(str, group[name].dims)), list(values.shape)]).encode() + content)
    return out.hexdigest()


def with_checks(tree: xr.DataTree, density: Density, draws: np.ndarray | None) -> xr.DataTree:
    """A new fit with what :func:`verify` needs: the log density at some of its unconstrained ``draws``, and the hash of each group."""
    if draws is not None:
        which = _which(draws.shape[0] * draws.shape[1])
        values = [float(density.function(draw)[0]) for draw in draws.reshape(-1, draws.shape[-1])[which]]
        checked = xr.Dataset({"log_density": ("checked", values)}, coords={"checked": which})
        tree["unconstrained_posterior"] = xr.DataTree(tree["unconstrained_posterior"].to_dataset().merge(checked))
    tree.attrs["group_sha256"] = json.dumps({str(name): digest(node.to_dataset()) for name, node in tree.children.items()})
    return tree


def _which(draws: int) -> np.ndarray:
    return np.unique(np.linspace(0, draws - 1, CHECKED).astype(int))


def _hashes(tree: xr.DataTree) -> Iterator[Verified]:
    """Whether data and draws are those that were stored."""
    if "group_sha256" not in tree.attrs:
        yield Verified("hashes", None, "This fit was made before hashes of its parts were kept.")
        return
    kept = json.loads(tree.attrs["group_sha256"])
    now = {str(name): digest(node.to_dataset()) for name, node in tree.children.items()}
    changed = [name for name in sorted(kept) if kept[name] != now.get(name)]
    for what, mine in (("data", [n for n in changed if n in DATA]), ("draws", [n for n in changed if n not in DATA])):
        yield Verified(what, not mine, f"The {what} have been changed since the fit: {', '.join(mine)}." if mine
                       else f"The {what} are those that were stored.")


def _of_run(tree: xr.DataTree) -> Verified:
    said = stored.run_digest(tree)
    if said is None:
        return Verified("settings", None, "This fit was made before the hash of its data was kept beside that of the run.")
    same = said == tree.attrs["run_sha256"]
    return Verified("settings", same, "Specification, instruments, seed and settings are those of the run." if same else
                    "Specification, instruments, seed, settings or the data's hash have been changed: they do not give the run's hash.")


def _of_versions(tree: xr.DataTree) -> Verified:
    other = [f"{name} {then} (now {now})" for name, then in stored.fact(tree, "versions").items() if (now := _version(name)) != then]
    return Verified("versions", None if other else True,
                    f"Fitted with other versions: {', '.join(other)}. The same seed may give other draws now." if other
                    else "Fitted with the versions that are installed.")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _of_study(tree: xr.DataTree, study: ListExperiment) -> Verified:
    then = str(tree.attrs.get("study_sha256", ""))
    same = then == study.sha256
    return Verified("study", same, "The study has the data that were fitted." if same else
                    f"The study has other data than were fitted: the hash is {study.sha256[:12]}..., that of the fit's study "
                    f"{then[:12]}....")


def _computed(check: Callable[[xr.DataTree], Verified], tree: xr.DataTree, name: str) -> Verified:
    """A check that computes with what is stored, which may no longer be fit for it."""
    try:
        return check(tree)
    except (InputError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        return Verified(name, False, f"The {name} cannot be computed from what is stored ({error}).")


def _likelihood(tree: xr.DataTree) -> Verified:
    """The log likelihood of every observation at the checked draws, from the stored data and parameters."""
    plan, posterior = stored.blueprint_of(tree), tree["posterior"].to_dataset()
    chains = posterior.sizes["draw"]
    kept = tree["log_likelihood"].to_dataset()["answer_given"]
    worst = 0.0
    for place in _which(posterior.sizes["chain"] * chains):
        at = {"chain": [place // chains], "draw": [place % chains]}
        again = predictive.log_likelihood(plan, posterior.isel(at))
        worst = max(worst, _difference(again.to_numpy().ravel(), kept.isel(at).to_numpy().ravel()))
    return _compared("log likelihood", worst, "of every observation")


def _density(tree: xr.DataTree) -> Verified:
    """The model's log density at the checked draws, on the unconstrained scale."""
    found = tree["unconstrained_posterior"].to_dataset()
    if "log_density" not in found:
        return Verified("log density", None, "This fit was made before log densities were kept.")
    if stored.fact(tree, "specification").get("margins"):
        return Verified("log density", None, "Not computed: it holds known margins, which are stored by their hash alone.")
    draws = found["unconstrained"].to_numpy()
    density = compile_density(build_model(stored.blueprint_of(tree)), mode="FAST_COMPILE")
    again = [float(density.function(draw)[0]) for draw in draws.reshape(-1, draws.shape[-1])[found["checked"].to_numpy()]]
    return _compared("log density", _difference(np.array(again), found["log_density"].to_numpy()), "of the model")


def _difference(again: Any, kept: Any) -> float:
    """The largest relative difference; infinite where one is there and the other not."""
    if again.shape != kept.shape or (np.isnan(again) != np.isnan(kept)).any():
        return float("inf")
    return float(np.nanmax(np.abs(again - kept) / np.maximum(1, np.abs(kept)), initial=0.0))


def _compared(name: str, worst: float, of: str) -> Verified:
    same = worst < CLOSE
    return Verified(name, same, f"The {name} {of} at {CHECKED} draws is what was stored (largest relative difference {worst:.0e})." if same
                    else f"The {name} {of} is not what was stored: the largest relative difference is {worst:.1g}. Draws, data or "
                    "specification have been changed, or another version of this package computes another model.")
