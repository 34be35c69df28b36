"""What is assumed, resolved against a study: formulas, lapses, instruments, margins and priors, before any PyMC."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayes_listexp import formulas, priors, responses, syntax
from bayes_listexp.bound_margins import BoundMargin, bound_margin
from bayes_listexp.cells import Cells
from bayes_listexp.control_counts import Family, family
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.formulas import Design, GroupTerm
from bayes_listexp.instrument import Instrument, Rows, parameters_of, possible_traits
from bayes_listexp.instruments import settled
from bayes_listexp.likelihood import possible_rows, row_tables
from bayes_listexp.lists import OwnList, cells_of, own_formula, rows_of, weights_of
from bayes_listexp.margins import KnownItem, KnownPrevalence, Margin
from bayes_listexp.persons import EFFECTS, SD_PRIOR, Persons, are_needed, persons_of, refuse_persons
from bayes_listexp.population import check_levels, with_levels_of
from bayes_listexp.priors import Prior
from bayes_listexp.refusals import refuse_combinations
from bayes_listexp.reporting import ReportTables, report_tables
from bayes_listexp.responses import Lapse
from bayes_listexp.structures import Relations, read_neighbours, read_times
from bayes_listexp.weighting import WEIGHTINGS, relative_weights

COUNT_GIVEN_TRAIT = ("none", "shift", "free", "saturated")
TRAIT_GIVEN_COUNT = ("linear", "smooth")
DEPENDENCES = COUNT_GIVEN_TRAIT + TRAIT_GIVEN_COUNT
GROUP_PARTS = ("sd", "mix", "rho", "length", "trend", "lkj")


@dataclass(frozen=True)
class Specification:
    """What is assumed: the arguments of :func:`bayes_listexp.fit` that define the model.

    Attributes
    ----------
    trait, control : formulas of the logit prevalence and of the control counts (``control`` None: the trait's formula).
        With several sensitive items the trait's formula may use the column ``item``; ``(1|item)`` is added if it does not.
    response : a response model of the catalogue by name, or a mapping from names to :class:`Lapse`.
    counts : family of the control counts: "softmax", "binomial", "beta_binomial", "com_binomial" or "poisson_binomial".
    dependence : between control counts and trait. Of the counts on the trait: "none", "shift" (of the linear predictor,
        shrunken to none), "free" (every coefficient and the shape, shrunken to the shift), "saturated" (any distribution for
        either trait, and by group: the types model). Of the trait on the count: "linear" or "smooth" (a random walk).
    lapses : formulas of the lapse probabilities by lapse; "1" where not given.
    priors : by name in place of the defaults, or "flat".
    instruments : settings of the study's instruments by their names, in place of those they were made with, such as
        {"direct": {"lies": "two_sided"}}.
    margins : auxiliary information, :class:`bayes_listexp.KnownPrevalence` and :class:`bayes_listexp.KnownItem`.
    neighbours : which levels of a column are neighbours, for icar and bym2: pairs of levels by column.
    times : when, or where in an order, the levels of a column are, for rw1, rw2, ar1 and gp: numbers by level, or the levels in
        order, by column. Not needed where the levels are numbers or dates.
    centred : how group effects are sampled, by their names such as "trait_region": True is centred, False is not; by default
        the information in the data decides. It leaves the posterior as it is.
    weighting : "none", or "pseudo" for the likelihood of the weighted respondents: each counts with a weight, normalised so that
        weights sum to the number of respondents (of each wave), and the draws are given the spread that the sampling design calls
        for (Savitsky & Toth 2016; Williams & Savitsky 2021). Where the weighting variables are in the formulas and a population
        frame is given, "none" with poststratification is the more precise way.
    person : how answers of the same people in several waves hang together (the study needs ``ids``; see :mod:`bayes_listexp.persons`):
        "none" (not at all), "count" (a normal effect of the person on the linear predictor of the control counts, with sd
        ``person_count_sd``), "both" (and an independent one on the logit of the trait, ``person_trait_sd``).
    """

    trait: str = "1"
    control: str | None = None
    response: str | Mapping[str, Lapse] = "truthful"
    counts: str = "softmax"
    dependence: str = "shift"
    lapses: Mapping[str, str] = field(default_factory=dict)
    priors: Mapping[str, Prior | str] | Literal["flat"] = field(default_factory=dict)
    instruments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    margins: Sequence[Margin] = ()
    neighbours: Mapping[str, Any] = field(default_factory=dict)
    times: Mapping[str, Any] = field(default_factory=dict)
    centred: Mapping[str, bool] = field(default_factory=dict)
    weighting: Literal["none", "pseudo"] = "none"
    person: Literal["none", "count", "both"] = "none"

    @property
    def relations(self) -> Relations:
        """Neighbours and times, of a resolved specification."""
        return Relations(self.neighbours, self.times)


@dataclass(frozen=True)
class Blueprint:
    """Everything a model is made of, before PyMC: cells, one design per sub-model, report tables, priors.

    ``rows`` are the distinct observations of a study with instruments, None for a list alone, whose cells are all it needs.
    ``relative_weights`` say by how much each of the observed counts is multiplied in the likelihood, by arm (cell, answer) or,
    with instruments, as ``observed`` (pattern,); empty without weighting. ``persons`` are people by all their answers, if needed.

    Where respondents were shown different control lists (``version`` is the column), ``lists`` says what each list has of its
    own, J and tables are those of the longest, cells and rows hold the respondents of all, and there is a design of the control
    counts for each list, called ``control_<label>``. What is computed list by list is computed of the ``parts``.
    """

    specification: Specification
    J: int
    cells: Cells
    designs: Mapping[str, Design]
    tables: ReportTables
    family: Family
    priors: Mapping[str, Prior]
    instruments: tuple[Instrument, ...] = ()
    rows: Rows | None = None
    margins: tuple[BoundMargin, ...] = ()
    item: str | None = None
    relative_weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    version: str | None = None
    lists: tuple[OwnList, ...] = ()
    label: str = ""
    within: np.ndarray | None = None

    @property
    def parts(self) -> tuple[Blueprint, ...]:
        """One blueprint of a single list for each list: this one, or with versions one for each, in the order of the levels.

        A part has a ``label``, and its cells are those ``within`` (cell,) all cells; everything but its list it shares with the
        others. Its design of the control counts is called ``control``, its parameters as :meth:`own` says.
        """
        return tuple(self._part(one) for one in self.lists) or (self,)

    def own(self, name: str) -> str:
        """What a parameter or design is called in the whole model: those of the control counts carry the list's label."""
        return f"control_{self.label}{name.removeprefix('control')}" if self.label and name.startswith("control") else name

    def tagged(self, name: str) -> str:
        """What a table, dim or shared variable of this list is called."""
        return f"{name}_{self.label}" if self.label else name

    def of_list(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The model's parameters with those of this list's control counts under their plain names."""
        start = self.own("control_")
        return parameters if not self.label else {
            f"control_{name.removeprefix(start)}" if name.startswith(start) else name: value for name, value in parameters.items()}

    def _part(self, one: OwnList) -> Blueprint:
        here = (self.cells.frame[self.version] == one.version).to_numpy()
        cells = cells_of(self.cells, here, one.J)
        shared = {name: bound for name, bound in self.designs.items() if plain(name) != "control"}
        return dataclasses.replace(
            self,
            J=one.J,
            cells=cells,
            designs={**shared, "control": self.designs[f"control_{one.label}"]},
            tables=one.tables,
            rows=None if self.rows is None else rows_of(self.rows, here),
            relative_weights=weights_of(self.relative_weights, cells, here, self.rows),
            margins=(),
            lists=(),
            label=one.label,
            within=np.flatnonzero(here),
        )
    persons: Persons | None = None
    wave: str | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that the study has."""
        return self.cells.arms

    @property
    def items(self) -> tuple[str, ...]:
        """Labels of the sensitive items, with several."""
        return () if self.item is None else tuple(self.cells.frame[self.item].cat.categories)

    @property
    def known_items(self) -> tuple[KnownItem, ...]:
        """The margins that are about control items."""
        return tuple(margin for margin in self.specification.margins if isinstance(margin, KnownItem))

    @property
    def labelled_items(self) -> bool:
        """Whether it is known which control item is which, so that each has a parameter of its own."""
        return bool(self.known_items) or any(getattr(i, "replaces_control", False) for i in self.instruments)

    def item_of(self, frame: pd.DataFrame) -> np.ndarray:
        """Position of each row's sensitive item, (row,); 0 with one item."""
        if self.item is None:
            return np.zeros(len(frame), dtype="int64")
        return pd.Index(self.items).get_indexer(frame[self.item].astype(str)).astype("int64")


def plain(name: str) -> str:
    """A linear predictor without the label of a list: priors and settings of the control counts are those of all lists."""
    return "control" if name.startswith("control_") else name


def prior_key(name: str, part: str) -> str:
    """Where the prior of a linear predictor's ``part`` ("intercept", "slope" or "sd") stands among a blueprint's priors."""
    name = plain(name)
    if name.startswith("lapse_"):
        return name if part == "intercept" else f"lapse_{part}"
    return f"{name}_{part}"


def group_prior(plan: Blueprint, predictor: str, term: GroupTerm, part: str) -> Prior:
    """The prior of a group term's ``part`` ("sd", "mix", "rho", "length", "trend" or "lkj"): its own, or that of all of its kind."""
    shared = f"group_{part}"
    if part == "sd":
        shared = "interaction_sd" if len(term.factors) > 1 else prior_key(predictor, "sd")
    return plan.priors.get(f"{plain(predictor)}_{term.name}_{part}", plan.priors[shared])


def blueprint(study: ListExperiment, specification: Specification, groups: Sequence[str] = ()) -> Blueprint:
    """Resolve formulas, lapses, instruments and priors against a study, and tabulate it.

    ``groups`` names further columns to keep apart in the cells, so that estimates can be asked for by them. A wave that
    a formula does not mention is added to it: waves always differ in prevalence and in control counts.

    Raises
    ------
    InputError : whatever does not fit together, by name.
    """
    lapses = responses.lapses(specification.response)
    instruments = settled(study.instruments, specification.instruments)
    resolved = _resolve(study, specification, lapses, instruments)
    texts = predictor_formulas(resolved, instruments)
    used = [c for text in texts.values() for c in syntax.variables(text, study.covariates)]
    known_groups = [m.group for m in resolved.margins if isinstance(m, KnownPrevalence)]
    used += [c for group in known_groups for c in group if c in study.covariates]
    extra = [c for c in (study.wave, study.item) if c is not None]
    first = [study.version] if study.version is not None else []
    columns = list(dict.fromkeys([*first, *used, *groups, *extra]))
    cells = study.cells(columns)
    if not len(cells.frame):
        raise InputError("no respondent is left after excluding missing covariates.")
    frame = cells.frame
    if study.population is not None:
        known = [c for c in columns if c != study.item]
        for names in [[c] for c in known] if study.missing == "model" else [known]:
            check_levels(study.complete(names)[0], study.population, names)
        frame = with_levels_of(frame, study.population)
    cells = cells._replace(frame=_drop_empty_levels(frame, study.population, study.wave))
    lists = tuple(_own_list(study, lapses, cells, version) for version in study.lists)
    return Blueprint(
        resolved,
        study.J,
        cells,
        with_known_waves(bind(texts, cells, study.item, study.version, lists), known_groups, study.wave),
        report_tables(lapses, study.J, cells.arms),
        family(resolved.counts),
        _priors(study, resolved, lapses, instruments, texts),
        instruments,
        study.rows(columns) if instruments else None,
        tuple(bound_margin(m, cells, study) for m in resolved.margins if isinstance(m, KnownPrevalence)),
        study.item,
        relative_weights(study, columns, cells, bool(instruments)) if resolved.weighting == "pseudo" else {},
        study.version,
        lists,
        persons=persons_of(study, columns, bool(instruments)) if are_needed(study, resolved.person, cells) else None,
        wave=study.wave,
    )


def with_known_waves(designs: Mapping[str, Design], groups: Iterable[Mapping[str, Any]], wave: str | None) -> dict[str, Design]:
    """Designs whose prevalence counts the waves that margins are about, by their ``groups``, among those of which something is
    known.
    """
    known = {str(group[wave]) for group in groups if wave in group} if wave else set()
    out = dict(designs)
    if wave is not None and known:
        out["trait"] = dataclasses.replace(out["trait"], groups=tuple(formulas.informed(g, wave, known) for g in out["trait"].groups))
    return out


def _own_list(study: ListExperiment, lapses: Mapping[str, Lapse], cells: Cells, version: str) -> OwnList:
    here, J = (cells.frame[study.version] == version).to_numpy(), study.lists[version]
    if not here.any():
        raise InputError(f"list version '{version}': no respondent is left after excluding missing covariates.")
    return OwnList(version, J, report_tables(lapses, J, cells_of(cells, here, J).arms))


def predictor_formulas(specification: Specification, instruments: Sequence[Instrument]) -> dict[str, str]:
    """The formula of every linear predictor by its name, of a resolved specification."""
    texts = {"trait": specification.trait, "control": str(specification.control)}
    texts |= {f"lapse_{name}": text for name, text in specification.lapses.items()}
    return texts | {name: text for instrument in instruments for name, text in instrument.formulas().items()}


def bind(
    texts: Mapping[str, str], cells: Cells, item: str | None, version: str | None = None, lists: Sequence[OwnList] = ()
) -> dict[str, Design]:
    """One design per linear predictor, and one of the control counts for each list.

    With several items only the treatment lists say something about the trait; with several lists only their own respondents say
    something about their control counts.
    """
    out = {}
    for name, text in texts.items():
        for one in lists if name == "control" else ():
            n = np.where(cells.frame[version] == one.version, cells.n, 0)
            try:
                out[f"control_{one.label}"] = formulas.design(own_formula(text, cells.frame, n), cells.frame, n)
            except InputError as error:
                raise InputError(f"control counts of list version '{one.version}': {error}") from error
        if not lists or name != "control":
            out[name] = formulas.design(text, cells.frame, cells.treated if item is not None and name == "trait" else cells.n)
    return out


def _resolve(
    study: ListExperiment,
    specification: Specification,
    lapses: Mapping[str, Lapse],
    instruments: Sequence[Instrument],
) -> Specification:
    if specification.dependence not in DEPENDENCES:
        raise InputError(f"dependence = '{specification.dependence}': say one of {', '.join(DEPENDENCES)}.")
    if specification.weighting not in WEIGHTINGS:
        raise InputError(f"weighting = '{specification.weighting}': say one of {', '.join(WEIGHTINGS)}.")
    unknown = [name for name in specification.lapses if name not in lapses]
    if unknown:
        raise InputError(
            f"lapses: '{unknown[0]}' is not a lapse of the response model '{specification.response}'; "
            f"it has: {', '.join(lapses) or 'none'}."
        )
    refuse_combinations(study, specification.counts, specification.dependence, instruments, specification.margins)
    refuse_persons(study, specification.person, specification.dependence, specification.weighting)
    control = specification.trait if specification.control is None else specification.control
    if study.item is not None and syntax.has_variable(control, study.item):
        if specification.control is not None:
            raise InputError(
                f"control = '{control}': the control items are the same whatever sensitive item is on the list. "
                f"Leave '{study.item}' out, or give `control` a formula of its own."
            )
        raise InputError(f"trait = '{control}' uses '{study.item}', which the control counts cannot depend on: give `control` "
                         "a formula of its own.")
    trait = specification.trait
    if study.item is not None and not syntax.has_variable(trait, study.item):
        trait = f"{trait} + (1|{study.item})"
    with_wave = [syntax.with_wave(text, study.wave, study.waves) for text in (trait, control)]
    resolved = dataclasses.replace(
        specification,
        trait=with_wave[0],
        control=with_wave[1],
        lapses={name: specification.lapses.get(name, "1") for name in lapses},
        neighbours=read_neighbours(specification.neighbours),
        times=read_times(specification.times),
    )
    _check_relations(study, resolved, predictor_formulas(resolved, instruments))
    return resolved


def _check_relations(study: ListExperiment, specification: Specification, texts: Mapping[str, str]) -> None:
    """Refuse neighbours and times of unknown columns, and settings of group effects that there are not."""
    for what, given in (("neighbours", specification.neighbours), ("times", specification.times)):
        unknown = [name for name in given if name not in study.covariates]
        if unknown:
            known = ", ".join(study.covariates) or "no covariates"
            raise InputError(f"{what}: column '{unknown[0]}' is not in the data; the study has: {known}.")
    terms = [f"{name}_{term}" for name, text in texts.items() for term in syntax.group_names(text)]
    for name, value in specification.centred.items():
        if name not in terms or not isinstance(value, bool):
            known = ", ".join(terms) or "there are none"
            raise InputError(f"centred: '{name}' = {value!r}: say true or false of one of the group effects: {known}.")


def _drop_empty_levels(frame: pd.DataFrame, population: pd.DataFrame | None, wave: str | None) -> pd.DataFrame:
    """Forget categories that occur neither among the respondents nor in the population frame; a study's waves all count."""
    out = {}
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype) and name != wave:
            known = set(column) | (
                set() if population is None or name not in population else set(population[name].astype(str))
            )
            column = column.cat.set_categories([level for level in column.cat.categories if level in known])
        out[name] = column
    return pd.DataFrame(out, index=frame.index)


def _priors(
    study: ListExperiment,
    specification: Specification,
    lapses: Mapping[str, Lapse],
    instruments: Sequence[Instrument],
    texts: Mapping[str, str],
) -> dict[str, Prior]:
    more = {f"lapse_{name}": lapse.prior for name, lapse in lapses.items()}
    more |= {f"{effect}_sd": SD_PRIOR for effect in EFFECTS[specification.person]}
    for instrument in instruments:
        more |= instrument.priors() | {name: p.prior for name, p in parameters_of(instrument).items()}
    if specification.priors != "flat":
        return priors.resolve(dict(specification.priors), more, _term_priors(texts))
    grouped = [name for name, text in texts.items() if syntax.has_groups(text)]
    hierarchical = specification.dependence in ("saturated", "smooth") or (
        specification.dependence == "free" and specification.counts == "softmax")
    if grouped or hierarchical:
        raise InputError(
            "priors = 'flat': group-specific effects, free softmax counts, saturated and smooth dependence have no maximum "
            "without priors. Leave them out or keep the priors."
        )
    return priors.flat(more)


def _term_priors(texts: Mapping[str, str]) -> list[str]:
    """Names of the priors that single group terms may have of their own."""
    return [f"{name}_{term}_{part}" for name, text in texts.items() for term in syntax.group_names(text) for part in GROUP_PARTS]


def refuse_impossible(plan: Blueprint) -> None:
    """Refuse respondents that the model says cannot exist: their likelihood would be zero whatever the parameters.

    Raises
    ------
    InputError : naming how many there are and what the first of them said.
    """
    for rows in (plan.rows, None if plan.cells.incomplete is None else plan.cells.incomplete.seen):
        if rows is not None and plan.instruments:
            _refuse_rows(plan, rows)


def _refuse_rows(plan: Blueprint, rows: Rows) -> None:
    tables = row_tables(plan.tables, rows, plan.J, plan.arms)
    impossible = ~possible_rows(tables, [possible_traits(instrument, rows) for instrument in plan.instruments])
    if impossible.any():
        first = int(np.flatnonzero(impossible)[0])
        told = {name.removeprefix("_"): float(values[first]) for name, values in rows.observed.items() if np.isfinite(values[first])}
        arm = "none" if rows.arm[first] < 0 else plan.arms[rows.arm[first]]
        raise InputError(
            f"{int(rows.n[impossible].sum())} respondents said what nobody can say under this model, such as answer "
            f"{rows.answer[first]} ({arm} arm) with {told}: no trait explains both. Let the model explain them: lies = "
            "'two_sided' for a direct question, or a response model with careless answers (response = 'careless')."
        )
