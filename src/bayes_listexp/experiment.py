"""One study: validated answers, arms, waves, weights and covariates, and their collapse to cells."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bayes_listexp.assembly import Missing, assembled, check_missing
from bayes_listexp.cells import Cells, tabulate, tabulate_rows
from bayes_listexp.columns import (
    check_ids,
    check_levels,
    read_numbers,
    rows_where,
    shown_values,
)
from bayes_listexp.errors import InputError
from bayes_listexp.exclusions import MODELLED, exclude, join, without_missing
from bayes_listexp.incomplete import place
from bayes_listexp.instrument import Instrument, Rows
from bayes_listexp.intake import Parts, check_columns, covariate_names, is_reserved, respondents_of
from bayes_listexp.population import PopulationFrame, of_waves
from bayes_listexp.predictors import Predictors, join_predictors
from bayes_listexp.survey_design import DesignColumns, Replicates

MOST_RESPONDENTS = 2**53
"""Sums of whole numbers up to this are exact."""


@dataclass(frozen=True)
class ListExperiment:
    """A list experiment (item count technique) as data: who was asked which list, and what they answered.

    Build one with :meth:`from_frame` (a row per respondent) or :meth:`from_counts` (a table of counts).

    Attributes
    ----------
    table : one row per respondent or per tabulated row: covariates under the user's names, the reserved columns
        ``_answer`` (int, -1 for respondents known by another instrument only), ``_treated`` and ``_placebo`` (bool),
        ``_n`` (respondents in the row), ``_weight`` (sum of their weights), the coded columns of the instruments, and where
        they were given ``_stratum``, ``_cluster``, ``_person`` (a number for each id) and the replicate weights ``_replicate_1``,
        ``_replicate_2``, ... Its
        index is the number of the row in the data as given, counted from 1.
    J : number of control items; of the longest list where there are several.
    wave : name of the wave column, or None.
    weighted : whether survey weights were given.
    covariates : names of the covariate columns (the wave included).
    missing : what happens to missing covariates: "drop" (excluded and counted), "level" (a level of their own) or "model"
        (kept in models, at every level they may be).
    population_frame : the people of the population, :class:`bayes_listexp.PopulationFrame`, or None.
    exclusions : what was left out and why, one row per reason, counted by arm.
    source : name, number of rows and SHA-256 of the data as given.
    instruments : what the trait was observed by beside the list, bound to the data.
    item : name of the column that says which sensitive item the treatment list held ("item"), or None with one item.
        Respondents of the control arm, who saw none, stand under the first.
    refusals : who was shown a list and did not answer it, whether excluded or kept for other instruments: covariates,
        ``_treated``, ``_placebo`` and ``_n``, with the index of ``table``.
    replicates : how the replicate weights were made, or None.
    version : name of the column that says which control list a respondent was shown, or None if all were shown the same.
    lists : number of control items of each list version, by its level in that column, in their order; empty with one list.
    smallest_group : respondents that a group needs for its estimates to be shown (:mod:`bayes_listexp.disclosure`); 0 shows all.
    """

    table: pd.DataFrame
    J: int
    wave: str | None
    weighted: bool
    covariates: tuple[str, ...]
    missing: Missing
    population_frame: PopulationFrame | None
    exclusions: pd.DataFrame
    source: Mapping[str, Any]
    sensitive_item: str = "the sensitive item"
    synthetic: bool = False
    instruments: tuple[Instrument, ...] = ()
    item: str | None = None
    refusals: pd.DataFrame = field(default_factory=pd.DataFrame)
    replicates: Replicates | None = None
    version: str | None = None
    lists: Mapping[str, int] = field(default_factory=dict)
    smallest_group: int = 0

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        answer: str,
        arm: str | None,
        J: int | Mapping[Any, int] | None = None,
        arms: tuple[Any, Any] | None = None,
        placebo: str | None = None,
        instruments: Sequence[Instrument] = (),
        wave: str | None = None,
        version: str | None = None,
        weights: str | None = None,
        strata: str | None = None,
        clusters: str | None = None,
        replicate_weights: Sequence[str] = (),
        replicate_method: str | None = None,
        replicate_rho: float | None = None,
        replicate_scales: Sequence[float] | None = None,
        ids: str | None = None,
        covariates: Sequence[str] | None = None,
        population: pd.DataFrame | PopulationFrame | None = None,
        predictors: Predictors | None = None,
        missing: Missing = "drop",
    ) -> ListExperiment:
        """Read a study from a frame with one row per respondent.

        Parameters
        ----------
        frame : a pandas DataFrame, or what :func:`bayes_listexp.tabulate` takes or returns: data of any size are tabulated by their engine,
            and only distinct rows come back, for the same result. ``ids`` need pandas. Of tabulated data the index of ``table`` numbers
            distinct rows, and the hash in ``source`` is that of the counts.
        answer, arm, wave, weights, ids : names of columns. ``ids`` must be unique within a wave; the same id in several waves
            is the same person, whose answers hang together (see ``person`` of :class:`bayes_listexp.Specification`).
        J : number of control items: answers are 0..J in the control arm, 0..J + 1 in the treatment arm.
            ``arm`` is None if everybody was shown the treatment list (known margins of the control items stand in for
            the control arm; see :class:`bayes_listexp.KnownItem`).
        version : column that says which control list a respondent was shown, where lists differ, say between waves (it may be the
            wave itself); J is then one number for all, or that of each version, such as {"A": 4, "B": 3}. Each version needs both
            arms, and in models its control counts are its own, while the trait is the same whatever the list. Respondents
            without a version are excluded and counted.
        arms : the two values of ``arm``, (control, treatment); not needed for 0/1, False/True, "control"/"treatment". With
            several sensitive items on treatment lists of their own: (control, [first item, second item, ...]).
        placebo : column that says (0/1) who in the control arm was shown a placebo list: the control items and one more
            that applies to nobody, so that answers reach J + 1.
        instruments : what else the trait was observed by, such as :class:`bayes_listexp.DirectQuestion`. Respondents
            without a list answer are kept if an instrument observed them, and counted in ``exclusions``.
        strata, clusters, replicate_weights, replicate_method, replicate_rho, replicate_scales : how respondents were sampled,
            for standard errors and corrected posteriors; see :class:`bayes_listexp.survey_design.DesignColumns`. Strata and
            clusters may be covariates as well.
        covariates : columns to keep; all other columns by default.
        population : population frame, one row per cell, with the count of people in column ``N``; or a
            :class:`bayes_listexp.PopulationFrame`, which also says how sure the counts are.
        predictors : what is known of the levels of a column, such as {"region": table}: a row per level, and columns that become
            covariates of respondents and population (see :func:`bayes_listexp.with_predictors`).
        missing : "drop" excludes respondents with a missing covariate (counted in the result), "level" makes missing
            a level of its own, "model" keeps the respondents in models, whose likelihood adds up over the levels they may have
            (:mod:`bayes_listexp.incomplete`; design-based estimates by that covariate leave them out). Missing answers and
            arms are always excluded and counted.

        Raises
        ------
        InputError : for anything that cannot be an answer to this list, naming the rows.
        """
        scales = None if replicate_scales is None else tuple(replicate_scales)
        design = DesignColumns(strata, clusters, tuple(replicate_weights), replicate_method, replicate_rho, scales)
        roles = {"answer": answer, "arm": arm, "placebo": placebo, "wave": wave, "version": version, "weights": weights, "ids": ids,
                 **design.roles}
        check_missing(missing)
        frame, counts, source = respondents_of(frame, roles, covariates, instruments, tuple(predictors or ()))
        frame, population, covariates = join_predictors(frame, population, covariates, predictors)
        check_columns(frame, roles, covariates, instruments)
        kept = covariate_names(frame, roles, covariates)
        if ids is not None:
            check_ids(frame, ids, wave)
        parts = Parts(frame, answer, arm, arms, placebo, tuple(instruments), wave, weights, kept, design, ids, version=version)
        study = cls(**assembled(parts, counts, J=J, missing=missing, population=population))
        return dataclasses.replace(study, source={**study.source, **source})

    @classmethod
    def from_counts(
        cls,
        counts: pd.DataFrame,
        *,
        answer: str,
        arm: str | None,
        n: str,
        J: int | Mapping[Any, int] | None = None,
        arms: tuple[Any, Any] | None = None,
        placebo: str | None = None,
        instruments: Sequence[Instrument] = (),
        wave: str | None = None,
        version: str | None = None,
        covariates: Sequence[str] | None = None,
        population: pd.DataFrame | PopulationFrame | None = None,
        predictors: Predictors | None = None,
    ) -> ListExperiment:
        """Read a study from a table of counts: one row per covariate row, arm and answer, ``n`` respondents in it.

        Arguments as in :meth:`from_frame`; ``n`` names the column of counts (whole numbers, zero allowed).

        Raises
        ------
        InputError : as :meth:`from_frame`, and for counts that are negative, fractional or missing.
        """
        roles = {"answer": answer, "arm": arm, "placebo": placebo, "wave": wave, "version": version, "n": n}
        counts, population, covariates = join_predictors(counts, population, covariates, predictors)
        check_columns(counts, roles, covariates, instruments)
        kept = covariate_names(counts, roles, covariates)
        size = read_numbers(counts[n], n)
        bad = size.isna() | (size < 0) | (size % 1 != 0)
        if bad.any():
            raise InputError(
                f"column '{n}', {rows_where(bad)}: a count must be a whole number of at least 0, "
                f"found {shown_values(counts[n][bad])}. Correct the table."
            )
        if size.sum() > MOST_RESPONDENTS:
            raise InputError(f"column '{n}': {size.sum():g} respondents in all are more than can be counted exactly. Correct the table.")
        size = size.astype("int64")
        parts = Parts(counts, answer, arm, arms, placebo, tuple(instruments), wave, None, kept, version=version)
        return cls(**assembled(parts, size, J=J, missing="drop", population=population))

    def described(
        self, *, sensitive_item: str | None = None, name: str | None = None, synthetic: bool | None = None,
        smallest_group: int | None = None,
    ) -> ListExperiment:
        """The same study with its sensitive item named, its source named, marked as synthetic, or small groups withheld."""
        source = dict(self.source) | ({} if name is None else {"name": name})
        return dataclasses.replace(
            self,
            source=source,
            synthetic=self.synthetic if synthetic is None else synthetic,
            sensitive_item=self.sensitive_item if sensitive_item is None else sensitive_item,
            smallest_group=self.smallest_group if smallest_group is None else smallest_group,
        )

    def until(self, wave: str) -> ListExperiment:
        """The study as it was known after ``wave``: respondents, and people of the population frame, of later waves left out.

        Respondents of later waves are counted in ``exclusions``; what instruments are bound by stays that of the whole study.

        Raises
        ------
        InputError : the study has no such wave.
        """
        if self.wave is None or wave not in self.waves:
            raise InputError(f"until: there is no wave '{wave}'; the waves are: {', '.join(self.waves) or 'none'}.")
        known = self.waves[: self.waves.index(wave) + 1]
        later = {(f"later than wave {wave}", self.wave): ~self.table[self.wave].isin(known)}
        keep, exclusions = exclude(later, self.table["_treated"].astype("boolean"), self.table["_n"])
        refusals = self.refusals[self.refusals[self.wave].isin(known)]
        table, population = self.table[keep], self.population_frame
        there = set() if self.version is None else set(table.loc[table["_n"] > 0, self.version])
        lists = {label: J for label, J in self.lists.items() if label in there}
        return dataclasses.replace(
            self,
            table=table.assign(**{self.wave: table[self.wave].cat.set_categories(known)}),
            population_frame=None if population is None else of_waves(population, self.wave, known),
            exclusions=join(self.exclusions, exclusions),
            J=max(lists.values(), default=self.J),
            version=self.version if len(lists) > 1 else None,
            lists=lists if len(lists) > 1 else {},
            refusals=refusals.assign(**{self.wave: refusals[self.wave].cat.set_categories(known)}),
        )

    @property
    def population(self) -> pd.DataFrame | None:
        """The cells of the population frame with their number of people ``N``, or None."""
        return None if self.population_frame is None else self.population_frame.cells

    def with_waves(self, waves: Sequence[str]) -> ListExperiment:
        """The study with all these ``waves``, in order: those without respondents are known from elsewhere, by margins.

        Raises
        ------
        InputError : the study has no wave column, a wave is named twice, or one that has respondents is not named.
        """
        named = [str(wave) for wave in waves]
        if self.wave is None:
            raise InputError("waves: the study has no wave column; name it with `wave`.")
        left_out = [wave for wave in self.waves if wave not in named]
        if left_out or len(set(named)) < len(named):
            known = ", ".join(self.waves)
            raise InputError(f"waves = {named}: every wave of the respondents must be named once, in order; they are: {known}.")
        wave = self.wave
        table, refusals = (t.assign(**{wave: t[wave].cat.set_categories(named)}) for t in (self.table, self.refusals))
        return dataclasses.replace(self, table=table, refusals=refusals)

    @property
    def waves(self) -> tuple[str, ...]:
        """Labels of the waves in order; empty without waves."""
        return () if self.wave is None else tuple(self.table[self.wave].cat.categories)

    @property
    def interviewed(self) -> tuple[str, ...]:
        """Labels of the waves that have respondents, in order; the others are known from elsewhere (:meth:`with_waves`)."""
        there = set() if self.wave is None else set(self.table[self.wave])
        return tuple(wave for wave in self.waves if wave in there)

    @property
    def items(self) -> tuple[str, ...]:
        """Labels of the sensitive items in order, with several; empty with one."""
        return () if self.item is None else tuple(self.table[self.item].cat.categories)

    @property
    def n(self) -> int:
        """Number of respondents who were observed by the list or another instrument."""
        return int(self.table["_n"].sum())

    @property
    def listed(self) -> pd.DataFrame:
        """The rows of ``table`` with an answer to the list."""
        return self.table[self.table["_answer"] >= 0]

    @property
    def sha256(self) -> str:
        """Hash of all that a fit can depend on: rows as read and coded, J, the wave, what happens to missing, the population.

        ``source["sha256"]`` is of the data file's columns alone; two studies of one file can differ in the rest.
        """
        facts: list[Any] = [self.J, self.wave, self.missing, list(self.waves), [repr(instrument) for instrument in self.instruments]]
        facts += [self.version, dict(self.lists)] if self.lists else []
        facts += [] if self.replicates is None else [self.replicates]
        facts += [] if self.population_frame is None or self.population_frame.exact else [repr(self.population_frame.n)]
        digest = hashlib.sha256(json.dumps(facts).encode())
        for frame in (self.table, self.population):
            if frame is not None:
                levels = [(str(name), [str(level) for level in frame[name].cat.categories]) for name in frame.columns
                          if isinstance(frame[name].dtype, pd.CategoricalDtype)]
                digest.update(json.dumps([list(map(str, frame.columns)), levels]).encode())
                digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()

    def complete(self, columns: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows of ``table`` with a level in each of ``columns``, and what was excluded for want of one.

        Where ``missing`` is "level" nothing is excluded: a missing level is the level "(missing)". Where it is "model" these
        are the rows without those whose level is modelled.

        Raises
        ------
        InputError : for a column that the study does not have, levels that cannot be told apart in print or stand for a missing value,
            and for missing numbers that should be a level.
        """
        unknown = [name for name in columns if name not in self.covariates]
        if unknown:
            raise InputError(
                f"column '{unknown[0]}' is not in the data; the study has: "
                f"{', '.join(self.covariates) or 'no covariates'}."
            )
        for name in columns:
            check_levels(self.table[name], name)
        return without_missing(self.table, list(columns), self.missing)

    def cells(self, columns: Sequence[str] = ()) -> Cells:
        """Tabulate the respondents by ``columns``: one cell per distinct row that occurs.

        Respondents with a missing value in one of the columns are excluded and counted in ``exclusions``, kept under the level
        "(missing)", or kept as ``incomplete`` and counted, as ``missing`` says.

        Raises
        ------
        InputError : for a column that the study does not have, and for missing numbers that should be a level or modelled.
        """
        columns = list(dict.fromkeys(columns))
        table, exclusions = self.complete(columns)
        if self.missing != "model":
            return tabulate(table, columns, self.J, join(self.exclusions, exclusions))
        counted = join(self.exclusions, exclusions.assign(reason=exclusions["reason"] + MODELLED))
        return place(tabulate(table, columns, self.J, counted), self.table, columns, self.observed)

    def rows(self, columns: Sequence[str] = ()) -> Rows:
        """Tabulate the respondents by cell (as :meth:`cells`) and by all that was observed of them.

        Raises
        ------
        InputError : for a column that the study does not have.
        """
        columns = list(dict.fromkeys(columns))
        return tabulate_rows(self.complete(columns)[0], columns, self.observed)

    @property
    def observed(self) -> tuple[str, ...]:
        """Names of the instruments' coded columns in ``table``."""
        return tuple(name for name in self.table.columns if name not in self.covariates and not is_reserved(name))
