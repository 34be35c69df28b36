"""What is assumed of the people who will be asked: how many control items apply to them, and to whom the sensitive item does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_listexp.errors import InputError

if TYPE_CHECKING:
    from bayes_listexp.experiment import ListExperiment

EPSILON = 1e-12
STEPS = 200


@dataclass(frozen=True, eq=False)
class Scenario:
    """The joint distribution of trait and count: ``types`` (trait, count), probabilities that add up to 1.

    Everything that planning computes follows from it: with J control items there are 2(J + 1) types of people, and what each
    type answers in either arm is known (Imai 2011). ``items`` are the shares of the control items, where they are known.

    Raises
    ------
    InputError : the table has not two rows, has fewer than two columns, or is not a distribution.
    """

    types: np.ndarray
    items: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        types = np.array(self.types, dtype=float)
        if types.ndim != 2 or types.shape[0] != 2 or types.shape[1] < 2:
            raise InputError(f"types: a table of 2 rows (trait 0, 1) and J + 1 columns is needed, found the shape {types.shape}.")
        if not np.all(np.isfinite(types)) or types.min() < -EPSILON or abs(types.sum() - 1) > 1e-6:
            raise InputError(f"types: probabilities that add up to 1 are needed; these add up to {types.sum():.6g}, "
                             f"and the least is {np.nanmin(types):.3g}.")
        types = np.clip(types, 0, None)
        object.__setattr__(self, "types", types / types.sum())

    @property
    def J(self) -> int:  # noqa: N802, the literature's own symbol
        """Number of control items."""
        return self.types.shape[1] - 1

    @property
    def prevalence(self) -> float:
        """P(trait = 1)."""
        return float(self.types[1].sum())

    @property
    def counts(self) -> np.ndarray:
        """P(count), shape (count,)."""
        return self.types.sum(axis=0)

    @property
    def count_mean(self) -> float:
        """Mean number of control items that apply."""
        return float(self.counts @ np.arange(self.J + 1))

    @property
    def count_variance(self) -> float:
        """Variance of the number of control items that apply: that of the control arm's answers."""
        return float(self.counts @ (np.arange(self.J + 1) - self.count_mean) ** 2)

    @property
    def covariance(self) -> float:
        """Covariance of trait and count."""
        return float(self.types[1] @ (np.arange(self.J + 1) - self.count_mean))

    @property
    def trait_variance(self) -> float:
        """P(1 - P)."""
        return self.prevalence * (1 - self.prevalence)

    @property
    def answer_variances(self) -> tuple[float, float]:
        """Variances of the answers in the control and the treatment arm."""
        control = self.count_variance
        return control, control + self.trait_variance + 2 * self.covariance

    @property
    def floor(self) -> float:
        """P(count = 0): people for whom the truthful answer 1 in the treatment arm admits the sensitive item, if they have it."""
        return float(self.counts[0])

    @property
    def ceiling(self) -> float:
        """P(count = J): people whom the answer J + 1 gives away, if they have the trait."""
        return float(self.counts[-1])

    def given(self, trait: int) -> np.ndarray:
        """P(count | trait), shape (count,); where nobody has that trait, it is that of everybody."""
        share = self.types[trait].sum()
        return self.types[trait] / share if share > EPSILON else self.counts

    def answers(self, treated: bool) -> np.ndarray:
        """P(answer) in an arm when all are truthful: shape (J + 1,), in the treatment arm (J + 2,)."""
        return np.append(self.types[0], 0.0) + np.append(0.0, self.types[1]) if treated else self.counts

    def with_prevalence(self, prevalence: float) -> Scenario:
        """The same people but for another prevalence: P(count | trait) stays.

        Raises
        ------
        InputError : the prevalence is not between 0 and 1.
        """
        check_share(prevalence, "prevalence")
        return Scenario(np.stack([(1 - prevalence) * self.given(0), prevalence * self.given(1)]), self.items)


def from_counts(
    J: int, mean: float, prevalence: float, *, variance: float | None = None, ratio: float = 1.0, correlation: float = 0.0
) -> Scenario:
    """A scenario from the mean and the variance of the control arm's answers, all that many published lists print.

    The count has the distribution closest to the binomial with that mean and variance (an exponential tilt in count and count²:
    the maximum of entropy relative to the binomial), the trait depends on it by a logit, if at all.

    Parameters
    ----------
    mean, variance : of the control arm's answers; without a variance it is ``ratio`` times that of a binomial with this mean.
        In 13 public lists the ratio was .51 to 1.41, its geometric mean .88.
    correlation : of trait and count.

    Raises
    ------
    InputError : a mean, variance or correlation that no number of J items can have; the message names the bounds.
    """
    _check_whole(J)
    if not 0 <= mean <= J:
        raise InputError(f"mean = {mean:g}: the mean of {J} control items lies between 0 and {J}.")
    wanted = ratio * mean * (1 - mean / J) if variance is None else variance
    return couple(_count_distribution(J, mean, wanted), prevalence, correlation)


def from_answers(answers: Sequence[int] | np.ndarray, J: int, prevalence: float, *, correlation: float = 0.0) -> Scenario:
    """A scenario whose counts are distributed as the answers of a control arm, such as a pilot's.

    Raises
    ------
    InputError : no answers, answers that are not whole numbers from 0 to J, an impossible prevalence or correlation.
    """
    _check_whole(J)
    given = np.asarray(answers, dtype=float)
    wrong = np.flatnonzero(~np.isin(given, np.arange(J + 1)))
    if given.size == 0 or wrong.size:
        found = f"answer {wrong[0] + 1} is {given[wrong[0]]:g}" if wrong.size else "there are none"
        raise InputError(f"answers: whole numbers from 0 to J = {J} of the control arm are needed; {found}.")
    return couple(np.bincount(given.astype(int), minlength=J + 1) / given.size, prevalence, correlation)


def from_study(study: ListExperiment, *, prevalence: float | None = None, correlation: float = 0.0) -> Scenario:
    """A scenario for the next wave from a study at hand: its control arm's answers, and its difference in means as the prevalence.

    A difference outside 0 to 1 is moved to the nearer end, unless a ``prevalence`` is given. Weights are not used.

    Raises
    ------
    InputError : the study has several lists or treatment lists; take one of them first.
    """
    if study.lists or study.item is not None:
        raise InputError("a scenario is of one list with one sensitive item, and the study has several. Use from_answers for each.")
    table = study.table[study.table["_answer"] >= 0]
    answers = table["_answer"].repeat(table["_n"]).to_numpy()
    treated = table["_treated"].repeat(table["_n"]).to_numpy() == 1
    if prevalence is None:
        prevalence = float(np.clip(answers[treated].mean() - answers[~treated].mean(), 0, 1))
    return from_answers(answers[~treated], study.J, prevalence, correlation=correlation)


def couple(counts: np.ndarray, prevalence: float, correlation: float = 0.0) -> Scenario:
    """Join a distribution of the count with a trait: P(trait | count) is a logit in the count with the wanted correlation.

    Raises
    ------
    InputError : the correlation is beyond what these counts and this prevalence allow; the message names the Fréchet bounds.
    """
    check_share(prevalence, "prevalence")
    k, pmf = np.arange(len(counts)), np.asarray(counts, dtype=float)
    apart = np.outer([1 - prevalence, prevalence], pmf)
    if correlation == 0:
        return Scenario(apart)
    mean = float(pmf @ k)
    scale = np.sqrt(pmf @ (k - mean) ** 2 * prevalence * (1 - prevalence))
    low, high = _covariance_bounds(pmf, prevalence)
    if scale < EPSILON or not low < correlation * scale < high:
        constant = "undefined, because one of the two is constant"
        allowed = f"between {low / scale:.3f} and {high / scale:.3f}" if scale > EPSILON else constant
        raise InputError(f"correlation of trait and count = {correlation:g}: with these counts and a prevalence of {prevalence:g} it is "
                         f"{allowed} (Fréchet bounds).")
    on = pmf > 0
    features = np.concatenate([np.tile(np.eye(on.sum())[:, :-1], (2, 1)),
                               np.repeat([0.0, 1.0], on.sum())[:, None] * np.stack([np.ones(2 * on.sum()), np.tile(k[on], 2)], axis=1)],
                              axis=1)  # fmt: skip
    moments = np.concatenate([pmf[on][:-1], [prevalence, prevalence * mean + correlation * scale]])
    types = np.zeros((2, len(pmf)))
    types[:, on] = tilted(apart[:, on].ravel(), features, moments).reshape(2, -1)
    return Scenario(types)


def tilted(base: np.ndarray, features: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """The distribution on (state,) closest to ``base`` whose means of the ``features`` (state, feature) are ``moments``.

    It is base times exp(features · parameters), by Newton's method on the convex dual (Csiszár 1975). The moments must be
    strictly inside what is possible.

    Raises
    ------
    InputError : they are not.
    """
    centre = features - moments
    parameters = np.zeros(features.shape[1])

    def at(value: np.ndarray) -> tuple[float, np.ndarray]:
        logs = np.log(base) + centre @ value
        top = logs.max()
        weights = np.exp(logs - top)
        return top + float(np.log(weights.sum())), weights / weights.sum()

    height, pmf = at(parameters)
    for _ in range(STEPS):
        gradient = pmf @ centre
        if np.abs(gradient).max() < 1e-11:
            return pmf
        spread = centre - gradient
        step = np.linalg.lstsq(spread.T @ (pmf[:, None] * spread), gradient, rcond=None)[0]
        size = 1.0
        while (new := at(parameters - size * step))[0] > height - 1e-4 * size * float(gradient @ step) and size > 1e-8:
            size /= 2
        parameters, (height, pmf) = parameters - size * step, new
    if np.abs(pmf @ centre).max() < 1e-7:
        return pmf
    raise InputError("the moments that were given are at or beyond the edge of what is possible. Move them inwards.")


def check_share(value: float, name: str) -> None:
    """A share is a number from 0 to 1.

    Raises
    ------
    InputError : it is not.
    """
    if not 0 <= value <= 1:
        raise InputError(f"{name} = {value:g}: a share between 0 and 1 is needed (35 % is 0.35).")


def _check_whole(J: int) -> None:
    if int(J) != J or J < 1:
        raise InputError(f"J = {J}: a whole number of at least 1 control item is needed.")


def _count_distribution(J: int, mean: float, variance: float) -> np.ndarray:
    """The distribution on 0..J with this mean and variance that is closest to the binomial of that mean."""
    k = np.arange(J + 1.0)
    least = (mean % 1) * (1 - mean % 1)
    most = mean * (J - mean)
    if variance < least - 1e-9 or variance > most + 1e-9:
        raise InputError(f"variance = {variance:.4g}: a number of {J} items with mean {mean:g} has a variance between {least:.4g} and "
                         f"{most:.4g}.")
    if most - least < 1e-9 or variance - least < 1e-9:  # one item, a constant, or no more than two neighbouring numbers
        below = int(np.floor(mean))
        return np.where(k == below, 1 - mean % 1, np.where(k == below + 1, mean % 1, 0.0))
    if most - variance < 1e-9:
        return np.where(k == 0, 1 - mean / J, np.where(k == J, mean / J, 0.0))
    share = mean / J
    logs = np.array([np.log(np.arange(1, J + 1)).sum() - np.log(np.arange(1, i + 1)).sum() - np.log(np.arange(1, J - i + 1)).sum()
                     + i * np.log(share) + (J - i) * np.log1p(-share) for i in range(J + 1)])  # fmt: skip
    return tilted(np.exp(logs), np.stack([k, (k - mean) ** 2], axis=1), np.array([mean, variance]))


def _covariance_bounds(pmf: np.ndarray, prevalence: float) -> tuple[float, float]:
    """Least and greatest covariance: the trait with those who have the lowest, or the highest counts."""
    k = np.arange(len(pmf))
    mean = float(pmf @ k)

    def greatest(masses: np.ndarray, values: np.ndarray) -> float:
        before = np.concatenate([[0.0], np.cumsum(masses)[:-1]])
        return float(np.clip(prevalence - before, 0, masses) @ values)

    high = greatest(pmf[::-1], k[::-1]) - prevalence * mean
    return greatest(pmf, k) - prevalence * mean, high
