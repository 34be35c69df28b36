"""All checks of a study before any model, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bayes_listexp.checks.arms import arm_sizes, balance, bounds_of_refusals, missing_by_arm, missing_covariates
from bayes_listexp.checks.assumptions import bayes_factor, no_design_effect, specification, types_of_people
from bayes_listexp.checks.lists import dispersion, edges, impossible_groups, information, lists_to_check
from bayes_listexp.checks.questions import contradictions, order_of_questions, placebo_direct, two_lists
from bayes_listexp.checks.record import Check, as_family
from bayes_listexp.checks.sample import nothing_to_compare, one_list, population, same_people, sampling
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.second_list import SecondList
from bayes_listexp.list_and_direct import asked_both
from bayes_listexp.persons import are_followed

ARMS, LISTS, ASSUMPTIONS = "Who was shown which list, and answered", "The lists", "No design effect, no lies"
QUESTIONS, SAMPLE = "What was asked beside the list", "The sample"


def design_checks(
    study: ListExperiment,
    covariates: Sequence[str] = (),
    *,
    person: str = "none",
    planned: float | Mapping[str, float] | None = None,
    order: str | None = None,
    counts: str | None = None,
) -> list[Check]:
    """Checks of the data and the design before any model, by list version, sensitive item and wave where there are several.

    Each check that is a test has its p-value; tests fail only where they do after Holm's adjustment for all tests of the list
    (:func:`bayes_listexp.checks.as_family`), and each adjusts for what it tests within itself. Where one list is refused more often
    than the other, bounds say what that can do. Each direct question that was asked of people with a list adds its placebo
    tests and the count of answers that contradict each other; each second list the comparison with the first. Without a
    control arm there is nothing to compare, and one record that says so. With a population frame the sample is compared with it.

    Parameters
    ----------
    covariates : compared between the arms, and the groups whose differences in means are looked at.
    person : the person effects that a model has; where people answer in several waves a record says what that means for it.
    planned : the share who were to be shown a treatment list, or that of each arm; see :func:`arm_sizes`.
    order : column of a random order of questions or lists; see :func:`order_of_questions`.
    counts : the family of control counts of a model, which then fails where the counts cannot be so dispersed.

    Raises
    ------
    InputError : a plan or an order that is none.
    """
    sample = [same_people(study, person)] if are_followed(study) else []
    sample += [] if study.population is None else [population(study)]
    if study.listed["_treated"].all():
        return [check._replace(topic=SAMPLE) for check in (one_list(study), *sample)]
    if not lists_to_check(study):
        return [check._replace(topic=SAMPLE) for check in (nothing_to_compare(study), *sample)]
    found = {
        ARMS: _of_arms(study, covariates, planned),
        LISTS: [edges(study), dispersion(study, counts), impossible_groups(study, covariates), information(study)],
        ASSUMPTIONS: [no_design_effect(study), bayes_factor(study), types_of_people(study), specification(study, counts)],
        QUESTIONS: _of_questions(study, order),
        SAMPLE: [*sample, *sampling(study)],
    }
    return as_family([check._replace(topic=topic) for topic, checks in found.items() for check in checks])


def _of_arms(study: ListExperiment, covariates: Sequence[str], planned: float | Mapping[str, float] | None) -> list[Check]:
    missing = missing_by_arm(study)
    checks = [missing, *([bounds_of_refusals(study)] if missing.passed is False else [])]
    if any(study.table[name].isna().any() for name in covariates):
        checks.append(missing_covariates(study, covariates))
    return [*checks, arm_sizes(study, planned), *([balance(study, covariates)] if covariates else [])]


def _of_questions(study: ListExperiment, order: str | None) -> list[Check]:
    checks = [order_of_questions(study, order)] if order is not None else []
    for name in asked_both(study) if study.item is None else ():
        checks += [*placebo_direct(study, instrument=name), contradictions(study, instrument=name)]
    return checks + [two_lists(study, second=i.name) for i in study.instruments if isinstance(i, SecondList) and study.version is None]
