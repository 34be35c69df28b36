"""Who is interviewed: people of a population frame, by wave, with oversamples, strata, clusters, non-response and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.population import COUNT

type ByLevel = Mapping[str, Mapping[str, float]]
"""A number for each level of some columns, such as {"education": {"higher": 0.7, "secondary": 0.5}}."""


@dataclass(frozen=True)
class Sampling:
    """How people come to be interviewed, and who is shown which list.

    Attributes
    ----------
    n : number of interviews, of each wave: one number, or one for each wave.
    oversample : shares (0 to 1) of those approached by level of a column, such as {"region": {"Almaty": 0.25}}; the other levels share
        the rest as in the population. Of several columns, each is applied to the people as they are.
    participation : probability of taking part when approached, by level of columns (their product; levels that are not named
        have 1). Those who do not are not in the survey.
    weight_error : standard deviation of the logarithm of the rates of participation that the weights know, by wave and level.
        Weights undo the oversample exactly and non-participation by these rates; their mean is 1 in each wave.
    strata : columns whose combinations have their share of the interviews exactly (to whole numbers, at least two clusters each).
    cluster_size : number of interviews in each primary sampling unit, which lies in one stratum; None: no clusters. Units are new in
        each wave. How much their people are alike is said by the truth (``cluster_count_sd``, ``cluster_trait_sd``).
    stay : share of the people of a wave who are interviewed again in the next one, if there is one.
    treated : share of respondents who are shown the sensitive item, within each wave; several items share it equally.
    placebo : share of the control arm that is shown a placebo list.
    asked : share of respondents who are asked, by the name of an instrument; 1 where it is not named.
    """

    n: int | Mapping[str, int] = 1000
    oversample: ByLevel = field(default_factory=dict)
    participation: ByLevel = field(default_factory=dict)
    weight_error: float = 0.0
    strata: tuple[str, ...] = ()
    cluster_size: int | None = None
    stay: float = 0.0
    treated: float = 0.5
    placebo: float = 0.0
    asked: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("stay", "treated", "placebo"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"sampling: {name} = {getattr(self, name)!r} must be a share between 0 and 1.")
        if self.weight_error < 0:
            raise InputError(f"sampling: weight_error = {self.weight_error!r} must be at least 0.")
        if self.cluster_size is not None and self.cluster_size < 1:
            raise InputError(f"sampling: cluster_size = {self.cluster_size!r} must be at least 1.")
        for column, shares in self.oversample.items():
            if min(shares.values()) < 0 or sum(shares.values()) > 1:
                raise InputError(f"sampling: oversample of '{column}' must be shares of at least 0 that sum to at most 1, found "
                                 f"{dict(shares)!r}.")
        check_rates("participation", self.participation)

    @property
    def weighted(self) -> bool:
        """Whether people differ in their chance of being interviewed, so that the survey needs weights."""
        return bool(self.oversample or self.participation)

    def size(self, wave: str) -> int:
        """Number of interviews in a wave.

        Raises
        ------
        InputError : it is no whole number of at least 1, or the wave has none.
        """
        n = self.n.get(wave) if isinstance(self.n, Mapping) else self.n
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise InputError(f"sampling: n = {n!r}{f' in wave {wave!r}' if wave else ''} must be a whole number of at least 1.")
        return int(n)


def check_rates(what: str, rates: ByLevel) -> None:
    """Refuse probabilities that are none.

    Raises
    ------
    InputError : naming column and level.
    """
    for column, levels in rates.items():
        for level, rate in levels.items():
            if not 0 <= rate <= 1:
                raise InputError(f"{what}: '{column}', level '{level}': {rate!r} must be between 0 and 1.")


def by_level(frame: pd.DataFrame, values: ByLevel, what: str) -> Iterator[np.ndarray]:
    """For each column of ``values`` the number of each row's level, (row,), NaN where it is not named.

    Raises
    ------
    InputError : a column or a level that the frame does not have.
    """
    for column, levels in values.items():
        if column not in frame.columns:
            raise InputError(f"{what}: there is no column '{column}' in the population; it has: {', '.join(map(str, frame.columns))}.")
        labels = frame[column].astype(str)
        unknown = [level for level in levels if str(level) not in set(labels)]
        if unknown:
            raise InputError(f"{what}: column '{column}' has no level '{unknown[0]}'; it has: {', '.join(dict.fromkeys(labels))}.")
        yield labels.map({str(level): value for level, value in levels.items()}).to_numpy(dtype=float)


def approached(frame: pd.DataFrame, oversample: ByLevel) -> np.ndarray:
    """How much oftener than in proportion each cell's people are approached, (cell,).

    Raises
    ------
    InputError : a column or a level that the frame does not have; shares that leave nothing for the others, or have no others.
    """
    boost = np.ones(len(frame))
    share = frame[COUNT].to_numpy(dtype=float) / frame[COUNT].sum()
    for column, wanted in zip(oversample, by_level(frame, oversample, "oversample"), strict=True):
        rest, left = share[np.isnan(wanted)].sum(), 1 - sum(oversample[column].values())
        if (rest > 0) != (left > 1e-9):
            raise InputError(f"oversample: the shares of '{column}' sum to {1 - left:g}, and {rest:.3g} of the people have other levels.")
        own = pd.Series(share).groupby(frame[column].astype(str).to_numpy()).transform("sum").to_numpy()
        boost *= np.where(np.isnan(wanted), left / rest if rest else 1.0, wanted / own)
    return boost


def interviews(
    frame: pd.DataFrame, sampling: Sampling, waves: Sequence[str], wave: str, rng: np.random.Generator
) -> pd.DataFrame:
    """The interviews: one row each, with the label of the row of ``frame`` that is their cell (``cell``), the position of the wave
    (``wave``), the ``id`` of the person, ``weight``, and where there are any ``stratum`` and ``cluster``.

    ``wave`` is the column of the waves in a frame that differs by wave; other frames hold for all ``waves``.

    Raises
    ------
    InputError : columns or levels that the frame does not have.
    """
    tables: list[pd.DataFrame] = []
    known = 0
    if wave in frame.columns and sampling.stay:
        raise InputError(f"sampling: stay = {sampling.stay}: people of a frame that differs by wave cannot be followed from one wave to "
                         "the next. Give one frame for all waves.")
    for t, label in enumerate(waves or ("",)):
        people = frame[frame[wave].astype(str) == label] if wave in frame.columns else frame
        n = sampling.size(label)
        again = min(round(sampling.stay * len(tables[-1])), n) if tables else 0
        new = _sampled(people, sampling, n - again, t, rng)
        new["id"] = np.arange(known, known + len(new)) + 1
        known += len(new)
        stayed = tables[-1].iloc[rng.choice(len(tables[-1]), again, replace=False)] if again else new.iloc[:0]
        table = pd.concat([stayed, new], ignore_index=True).assign(wave=t)
        tables.append(table.assign(weight=_weights(people, sampling, table["cell"], rng)))
    return pd.concat(tables, ignore_index=True)


def _sampled(frame: pd.DataFrame, sampling: Sampling, n: int, t: int, rng: np.random.Generator) -> pd.DataFrame:
    """New people of one wave."""
    chance = frame[COUNT].to_numpy(dtype=float) * approached(frame, sampling.oversample)
    for rate in by_level(frame, sampling.participation, "participation"):
        chance = chance * np.where(np.isnan(rate), 1.0, rate)
    absent = [name for name in sampling.strata if name not in frame.columns]
    if absent:
        raise InputError(f"sampling: strata: there is no column '{absent[0]}' in the population.")
    names = frame[list(sampling.strata)].astype(str).agg(", ".join, axis=1).to_numpy() if sampling.strata else np.full(len(frame), "all")
    strata = [name for name in dict.fromkeys(names) if chance[names == name].sum() > 0]
    sizes = _allocated(n, np.array([chance[names == name].sum() for name in strata]))
    rows = []
    for name, size in zip(strata, sizes, strict=True):
        inside = np.flatnonzero(names == name)
        picked = inside[rng.choice(len(inside), size=size, p=chance[inside] / chance[inside].sum())]
        rows.append(pd.DataFrame({"cell": frame.index.to_numpy()[picked], "stratum": name, "cluster": _clusters(sampling, name, size, t)}))
    table = pd.concat(rows, ignore_index=True)
    unused = ([] if sampling.strata else ["stratum"]) + ([] if sampling.cluster_size else ["cluster"])
    return table.drop(columns=unused).iloc[rng.permutation(len(table))].reset_index(drop=True)


def _allocated(n: int, mass: np.ndarray) -> np.ndarray:
    """``n`` interviews in proportion to ``mass`` (stratum,), in whole numbers by largest remainders."""
    exact = n * mass / mass.sum()
    sizes = np.floor(exact).astype(int)
    sizes[np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]] += 1
    return sizes


def _clusters(sampling: Sampling, stratum: str, size: int, t: int) -> np.ndarray:
    """Names of the primary sampling units of a stratum's interviews, at least two if there are two interviews."""
    if not sampling.cluster_size:
        return np.full(size, "")
    units = max(round(size / sampling.cluster_size), min(size, 2))
    return np.array([f"{t + 1}-{stratum}-{k + 1}" for k in np.arange(size) % max(units, 1)], dtype=object)


def _weights(frame: pd.DataFrame, sampling: Sampling, cell: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Weights of the people of one wave, whose ``cell`` are labels of rows of ``frame``, of mean 1."""
    weight = 1 / approached(frame, sampling.oversample)
    for column, rates in sampling.participation.items():
        known = {column: {level: rate * np.exp(rng.normal(0, sampling.weight_error)) for level, rate in rates.items()}}
        (rate,) = by_level(frame, known, "participation")
        weight = weight / np.where(np.isnan(rate), 1.0, rate)
    own = weight[frame.index.get_indexer(cell)]
    return np.asarray(np.round(own / own.mean(), 6))
