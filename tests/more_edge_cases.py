"""Further odd data, from R, Stata, SPSS and spreadsheets: cases beside those of the reference file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp import (
    ListExperiment,
    adjusted_difference,
    difference_in_means,
    linear_regression,
    maximum_likelihood,
    no_design_effect_bayes_factor,
    nonlinear_least_squares,
    poststratified_means,
)
from bayes_listexp.checks import design_checks
from edge_cases import MISSING_CODE, Answer, Case, J, difference, dim, ml, nls, one, simulated, study


def people(**columns: Any) -> pd.DataFrame:
    """Simulated respondents with other columns."""
    return simulated(0.3, 400).assign(**columns)


def same(ours: Callable[[], float], source: str = "0/1 and whole numbers") -> Answer:
    """The difference in means of the same people, given properly."""
    return Answer(ours(), difference(people()), 1e-9, source)


def in_groups(first: Any, second: Any) -> Answer:
    """Groups by any name: their differences in means, and a list regression that has them."""
    data = people(g=[(first, second)[g] for g in people()["g"]])
    by_hand = [difference(people()[people()["g"] == g]) for g in (0, 1)]
    ours = difference_in_means(study(data), by="g").set_index("g")["estimate"]
    assert abs(ml(data, "1 + g") - ml(people(), "1 + g")) < 1e-8
    return Answer(float(ours[str(first)] - ours[str(second)]), by_hand[0] - by_hand[1], 1e-9, "groups 0 and 1 (difference shown)")


def half(frame: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    """The first of two rows with another value in a column."""
    return frame.assign(**{column: [value if i % 2 else old for i, old in enumerate(frame[column])]})


def weights(values: Callable[[pd.Series], Any]) -> Answer:
    """Weights as text count as the same numbers."""
    w = pd.Series(np.linspace(0.5, 2, 400).round(3))
    tables = [difference_in_means(study(people(w=column), weights="w"), weighted=True) for column in (values(w), w)]
    return Answer(tables[0]["estimate"][0], tables[1]["estimate"][0], 1e-12, "the same weights as numbers")


def huge(ours: Callable[[ListExperiment], Any], k: int = 10**7) -> Any:
    """Ten million respondents an answer, as a table of counts."""
    table = pd.DataFrame({"y": [0, 1, 2, 3, 0, 1, 2, 3, 4], "treat": [0] * 4 + [1] * 5, "n": np.array([1, 3, 3, 1, 1, 2, 3, 2, 1]) * k})
    return ours(ListExperiment.from_counts(table, answer="y", arm="treat", n="n", J=J))


def counted(n: list[Any]) -> ListExperiment:
    return ListExperiment.from_counts(pd.DataFrame({"y": [0, 1], "treat": [0, 1], "n": n}), answer="y", arm="treat", n="n", J=1)


def one_item() -> Answer:
    """One control item: three answers, and a maximum in closed form on the way."""
    data = simulated(0.3, 800, 1)
    return Answer(nls(data, "1", 1), difference(data), 1e-6, "difference in means")


def population(levels: list[Any], people_in: Any = (10, 20)) -> Any:
    frame = pd.DataFrame({"g": levels, "N": people_in})
    data = people(g=np.where(people()["g"] == 1, "b", "a"))
    return poststratified_means(study(data, population=frame), cells=["g"])


def by_population(people_in: Any = (10, 20)) -> Answer:
    each = [difference(people()[people()["g"] == g]) for g in (0, 1)]
    return Answer(population(["a", "b"], people_in)["estimate"][0], each[0] / 3 + 2 * each[1] / 3, 1e-9,
               "a third and two thirds of the groups")


def single_arms() -> pd.DataFrame:
    """The second wave was shown the control list only."""
    data = people()
    return data.assign(wave=np.where((data["treat"] == 0) & (data.index % 2 == 0), "2021", "2020"))


def no_wave_whole() -> Answer:
    checks = design_checks(study(people(wave=np.where(people()["treat"] == 1, "2020", "2021")), wave="wave"), [])
    return Answer(len(checks), 1, 0, "one note, that there is nothing to compare (notes shown)")


ARM = ("column 'treat'", "arms = (control value, treatment value)")
NOT_NUMBERS = ("column 'y', row", "not a number, found", "mark them as missing")
COUNT = ("column 'n', row 2", "whole number of at least 0", "Correct the table")


def nls_of(made: ListExperiment) -> float:
    return float(nonlinear_least_squares(made).prevalence["estimate"][0])


BEYOND = {
    "answers_as_text": Case("answers '2.0' as text", lambda: same(lambda: dim(people(y=[f" {y}.0 " for y in people()["y"]])))),
    "answers_with_comma": Case("answers '2,0' as text", lambda: dim(people(y=[f"{y},0" for y in people()["y"]])), (*NOT_NUMBERS, "'2,0'")),
    "answer_blank": Case("an answer of blanks", lambda: dim(one("y", 7, " ", people())), (*NOT_NUMBERS, "row 7", "' '")),
    "answers_labelled": Case("labels for answers (Stata, SPSS)", lambda: dim(people(
        y=pd.Categorical.from_codes(people()["y"].to_numpy(), ["none", "one", "two", "three", "all"]))), (*NOT_NUMBERS, "'none'")),
    "answers_logical": Case("answers False or True", lambda: dim(people(y=people()["y"] > 1)), (
        "column 'y', rows 1, 2, 3", "an answer is a number of items, found", "mark these values as missing")),
    "answer_code_9": Case("9 for a refusal", lambda: dim(one("y", 7, 9, people())), ("column 'y', row 7", "found 9", MISSING_CODE)),
    "answers_all_missing": Case("no answer at all",
        lambda: dim(people(y=np.nan)), ("column 'y'", "none of the 400 rows", "400 answers are missing")),
    "answer_is_the_arm": Case("one column as answer and as arm",
        lambda: ListExperiment.from_frame(people(), answer="treat", arm="treat", J=J), (
        "column 'treat' is named as answer and as arm", "Name a column for each")),
    "arm_TRUE_text": Case("arm 'TRUE' or 'FALSE' as text",
        lambda: same(lambda: dim(people(treat=people()["treat"].map({0: "FALSE", 1: "TRUE"}))))),
    "arm_T_F": Case("arm 'T' or 'F'", lambda: dim(people(treat=people()["treat"].map({0: "F", 1: "T"}))), (*ARM, "'T'", "'F'", "rows ")),
    "arm_missing_and_text": Case("an empty text for an arm",
        lambda: dim(one("treat", 7, "", people(treat=people()["treat"].astype(str)))), (
        *ARM, "row 7", "''", "mark other values as missing")),
    "arm_third": Case("one arm coded 2", lambda: dim(one("treat", 7, 2, people())), (*ARM, "row 7", "2")),
    "arms_one_value": Case("arms = (1,)", lambda: dim(people(), arms=(1,)), ("arms = (1,)", "give two values of column 'treat'")),
    "arms_as_text": Case("arms = '01'", lambda: dim(people(), arms="01"), ("arms = '01'", "give two values of column 'treat'")),
    "column_twice": Case("two columns of one name",
        lambda: dim(pd.concat([people(), people()[["g"]]], axis=1)), ("column 'g' occurs twice", "Rename")),
    "columns_are_numbers": Case("columns without names", lambda: ListExperiment.from_frame(
        people().set_axis([0, 1, 2], axis=1), answer="0", arm="1", J=J), ("column 0", "its name is no text", "astype(str)")),
    "J_absurd": Case("J = 1,000,000,000", lambda: dim(people(), 10**9), ("J = 1000000000", "whole number", "questionnaire")),
    "J1": Case("one control item", one_item),
    "weights_as_text": Case("weights '1.5' as text", lambda: weights(lambda w: w.astype(str))),
    "weights_with_comma": Case("weights '1,5' as text", lambda: weights(lambda w: w.astype(str).str.replace(".", ",")), (
        "column 'w', rows 1, 2", "not a number, found '0,5'", "Recode")),
    "weights_zero_in_an_arm": Case("all treated have weight 0", lambda: maximum_likelihood(
        study(people(w=1.0 - people()["treat"]), weights="w"), weighted=True),
        ("respondents of the treatment arm have weight 0", "Correct the weights")),
    "weights_zero_in_an_arm_lm": Case("all treated have weight 0", lambda: linear_regression(
        study(people(w=1.0 - people()["treat"]), weights="w"), weighted=True),
        ("respondents of the treatment arm have weight 0", "Correct the weights")),
    "levels_of_any_script": Case("groups with blanks, brackets, other scripts",
        lambda: in_groups("Қазақ (Kazakh): [1]", "Ελλάδα | B&B <i>")),
    "level_empty": Case("an empty text for a group", lambda: in_groups("", "b")),
    "level_nan_text": Case("'nan' for a group",
        lambda: ml(half(people(g="a"), "g", "nan"), "1 + g"), ("column 'g', rows 2, 4", "'nan'", "Mark these")),
    "level_with_blank": Case("groups 'a' and 'a '", lambda: ml(half(people(g="a"), "g", "a "), "1 + g"), (
        "column 'g', rows 2, 4", "'a' and 'a ' differ in blanks only", "str.strip()")),
    "level_called_missing": Case("a group '(missing)' beside missing ones", lambda: difference_in_means(study(
        one("g", 7, None, half(people(g="a"), "g", "(missing)")), missing="level"), by="g"),
        ("column 'g', row 7", "'(missing)'", "Rename")),
    "wave_with_one_arm": Case("a wave that saw one list only", lambda: maximum_likelihood(study(single_arms(), wave="wave")), (
        "'wave[2021]'", "in the treatment arm", "group its levels")),
    "waves_with_one_arm_each": Case("no wave that saw both lists, checks", no_wave_whole),
    "one_respondent_a_group": Case("a group for each respondent", lambda: nls(people(g=[f"p{i}" for i in range(400)]).head(60), "1 + g"), (
        "follows from other columns in the treatment arm", "group its levels")),
    "counts_of_millions": Case("ten million respondents an answer", lambda: huge(lambda made: Answer(
        nls_of(made), 0.5, 1e-6, "means 2 and 1.5 by hand"))),
    "counts_of_millions_bayes": Case("the same, Bayes factor of no design effect", lambda: huge(no_design_effect_bayes_factor), (
        "170,000,000 respondents", "no_design_effect_test")),
    "count_negative": Case("a negative count", lambda: counted([1, -2]), (*COUNT, "-2")),
    "count_too_large": Case("a count of 1e300", lambda: counted([1, 1e300]), ("column 'n'", "1e+300 respondents", "Correct the table")),
    "population": Case("a population frame of the groups", by_population),
    "population_spelled_otherwise": Case("'B' in the population, 'b' in the sample", lambda: population(["a", "B"]), (
        "column 'g' has no level 'b'", "(rows ", "Its levels are: a, B", "recode")),
    "population_level_missing": Case("a missing group in the population", lambda: population(["a", None]), (
        "population frame: column 'g' has no level 'b'", "Its levels are: a", "Add the level")),
    "population_as_text": Case("N as text", lambda: by_population(["10", "20"])),
    "formula_power": Case("age**2 without I()", lambda: ml(people(age=2.0), "1 + g**2"), ("the power of 'g' means nothing", "I(g ** 2)")),
    "formula_caret": Case("I(age^2), as in R", lambda: ml(people(), "1 + I(g^2)"), ("formula '1 + I(g^2)' cannot be read", "I(age ** 2)")),
    "formula_modulo": Case("g % 2 in a formula", lambda: ml(people(), "1 + g % 2"), ("before '%'", "Write it like")),
    "formula_other_case": Case("a covariate in capitals",
        lambda: ml(people(), "1 + G"), ("column 'G' is not in the data", "the study has: g")),
    "formula_is_no_text": Case("a list for a formula",
        lambda: maximum_likelihood(study(people()), ["g"]), ("formula ['g']", "is text such as")),  # type: ignore[arg-type]
    "probability_in_percent": Case("probability = 95", lambda: difference_in_means(study(people()), probability=95), (
        "probability = 95", "between 0 and 1", "0.95")),
    "adjusted_with_a_lone_group": Case("adjusting for a group that is in one arm", lambda: adjusted_difference(
        study(people(g=np.where((people()["treat"] == 0) & (people().index < 40), "lone", "b"))), "1 + g"), (
        "g[lone]", "repeat one another in one of the arms", "group rare levels")),
}
"""What else goes wrong with data from R, Stata, SPSS and spreadsheets."""
