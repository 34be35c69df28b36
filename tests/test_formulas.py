"""A formula's design: what is centred and scaled, what the coefficients mean, what is refused with which words."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import syntax
from bayes_listexp.errors import InputError
from bayes_listexp.formulas import coefficients, conform, design, linear_predictor
from bayes_listexp.syntax import has_common_variable, variables

N = np.array([3, 1, 2, 4, 1, 5, 2, 2])


def cells(**changes):
    base = pd.DataFrame(
        {
            "age": [20.0, 30, 40, 50, 60, 25, 35, 45],
            "male": [0.0, 1, 0, 1, 0, 1, 1, 0],
            "region": pd.Categorical(list("abcabcab"), list("abc")),
            "sex": pd.Categorical(list("fmmffmmf")),
        }
    )
    return base.assign(**changes)


def draws(bound, samples=5, name="trait", seed=4):
    """Made-up parameters of a design: arrays (sample, ...)."""
    rng = np.random.default_rng(seed)
    made = {f"{name}_{g.name}": rng.normal(size=(samples, len(g.columns), len(g.levels))) for g in bound.groups}
    if bound.intercept:
        made[f"{name}_intercept"] = rng.normal(size=samples)
    if bound.names:
        made[f"{name}_slope"] = rng.normal(size=(samples, len(bound.names)))
    return made


PLAIN = {
    "1 + age + region": lambda f: [np.ones(8), f["age"], f["region"] == "b", f["region"] == "c"],
    "0 + age + region": lambda f: [f["age"], *(f["region"] == level for level in "abc")],
    "age * male": lambda f: [np.ones(8), f["age"], f["male"], f["age"] * f["male"]],
    "1 + log(age) + I(age ** 2)": lambda f: [np.ones(8), np.log(f["age"]), f["age"] ** 2],
    "1": lambda f: [np.ones(8)],
}


@pytest.mark.parametrize("formula", PLAIN)
def test_coefficients_are_those_of_the_plain_design_matrix(formula):
    frame = cells()
    bound = design(formula, frame, N)
    made = draws(bound)
    plain = np.column_stack(PLAIN[formula](frame)).astype(float)
    expected = linear_predictor(made, "trait", bound.evaluate(frame))
    np.testing.assert_allclose(coefficients(made, "trait", bound) @ plain.T, expected, rtol=1e-9, atol=1e-9)


def test_columns_are_centred_at_the_respondents_mean_and_divided_by_two_standard_deviations():
    frame = cells()
    slopes = design("1 + age + male + region", frame, N).evaluate(frame).slopes
    people = np.repeat(slopes, N, axis=0)
    np.testing.assert_allclose(people.mean(axis=0), 0, atol=1e-12)
    assert people[:, 0].std() == pytest.approx(0.5)
    assert np.ptp(slopes[:, 1:], axis=0) == pytest.approx(1)  # 0/1 columns keep their unit
    assert design("0 + age", frame, N).center.tolist() == [0]


@pytest.mark.parametrize(
    "formula",
    [
        "1 + scale(age)",
        "1 + bs(age, df=4)",
        "1 + poly(age, 2)",
        "1 + center(age) + male",
        "1 + age + (1 + scale(age)|region)",
    ],
)
def test_cells_with_frequencies_equal_one_row_per_respondent(formula):
    frame = cells()
    people = frame.loc[np.repeat(frame.index, N)].reset_index(drop=True)
    weighted, expanded = design(formula, frame, N), design(formula, people, np.ones(len(people), dtype=int))
    by_cell, by_person = weighted.evaluate(frame), expanded.evaluate(people)
    np.testing.assert_allclose(np.repeat(by_cell.slopes, N, axis=0), by_person.slopes, atol=1e-12)
    for a, b in zip(by_cell.groups, by_person.groups, strict=True):
        np.testing.assert_allclose(np.repeat(a.columns, N, axis=0), b.columns, atol=1e-12)
        np.testing.assert_array_equal(np.repeat(a.level, N), b.level)


@pytest.mark.parametrize(
    "formula", ["1 + scale(age)", "1 + bs(age, df=4)", "1 + poly(age, 2)", "1 + age", "(1 + scale(age)|region)"]
)
def test_a_row_has_the_same_design_whatever_stands_beside_it(formula):
    frame = cells()
    bound = design(formula, frame, N)
    whole, alone = bound.evaluate(frame), bound.evaluate(frame.iloc[[4]])
    np.testing.assert_allclose(alone.slopes[0], whole.slopes[4], atol=1e-12)
    for a, b in zip(alone.groups, whole.groups, strict=True):
        np.testing.assert_allclose(a.columns[0], b.columns[4], atol=1e-12)


def test_group_intercept_is_the_level_of_each_row():
    frame = cells()
    bound = design("1 + (1|region)", frame, N)
    (group,) = bound.evaluate(frame).groups
    assert bound.groups[0].levels == ("a", "b", "c")
    assert group.level.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    np.testing.assert_array_equal(group.columns, np.ones((8, 1)))
    eta = linear_predictor(
        {"trait_intercept": np.array(0.5), "trait_region": np.array([[1.0, 2, 3]])}, "trait", bound.evaluate(frame)
    )
    assert eta.tolist() == [1.5, 2.5, 3.5, 1.5, 2.5, 3.5, 1.5, 2.5]


def test_group_slope_is_centred_at_the_respondents():
    frame = cells()
    bound = design("1 + (1 + age|region)", frame, N)
    (group,) = bound.evaluate(frame).groups
    assert bound.groups[0].columns == ("Intercept", "age")
    np.testing.assert_allclose(group.columns[:, 0], 1)
    np.testing.assert_allclose(group.columns[:, 1], frame["age"] - np.average(frame["age"], weights=N))
    (only_slope,) = design("1 + (0 + age|region)", frame, N).groups
    assert only_slope.columns == ("age",)


def test_interaction_groups_span_every_combination():
    frame = cells()
    (term,) = design("1 + (1|region:sex)", frame, N).groups
    assert term.name == "region_sex"
    assert term.levels == ("a:f", "a:m", "b:f", "b:m", "c:f", "c:m")
    labels = [term.levels[i] for i in design("1 + (1|region:sex)", frame, N).evaluate(frame).groups[0].level]
    assert labels == [f"{r}:{s}" for r, s in zip(frame["region"], frame["sex"], strict=True)]
    assert term.sampled.tolist() == [f in set(labels) for f in term.levels]


def test_levels_without_respondents_are_ordinary_levels():
    frame = cells(region=pd.Categorical(list("abcabcab"), list("abcd")))
    bound = design("1 + region + (1|region)", frame, N)
    assert bound.groups[0].sampled.tolist() == [True, True, True, False]
    row = frame.iloc[[0]].assign(region="d")
    made = draws(bound)
    expected = (
        made["trait_intercept"]
        + made["trait_region"][:, 0, 3]
        + made["trait_slope"][:, 2]
        - made["trait_slope"] @ bound.center
    )
    np.testing.assert_allclose(linear_predictor(made, "trait", bound.evaluate(row))[:, 0], expected)


def test_numeric_codes_group_however_long():
    frame = cells(district=[1234567.0, 1234568, 2.5, 1234567, 1234568, 2.5, 2.5, 2.5])
    assert design("1 + (1|district)", frame, N).groups[0].levels == ("2.5", "1234567", "1234568")


@pytest.mark.parametrize("name", ["household income", "t", "w", "C", "log", "I", "Intercept_", "доход", "a.b-c"])
def test_names_that_look_like_something_else(name):
    quoted = name if name.isidentifier() else f"`{name}`"
    frame = cells().rename(columns={"age": name, "region": f"{name} 2"})
    formula = f"1 + {quoted} + (1|`{name} 2`)"
    assert variables(formula, list(frame.columns)) == (name, f"{name} 2")
    reference = cells()
    found = design(formula, frame, N).evaluate(frame)
    expected = design("1 + age + (1|region)", reference, N).evaluate(reference)
    np.testing.assert_array_equal(found.slopes, expected.slopes)
    np.testing.assert_array_equal(found.groups[0].level, expected.groups[0].level)


def test_variables_and_common_variables():
    assert variables("1 + log(age) + (1 + male|region)", ["region", "male", "age", "sex"]) == ("region", "male", "age")
    assert has_common_variable("1 + age:male", "male")
    assert not has_common_variable("1 + age + (1 + male|region)", "male")


def test_intercept_alone_and_groups_alone():
    frame = cells()
    assert design("1", frame, N).evaluate(frame).slopes.shape == (8, 0)
    no_intercept = design("0 + (1|region)", frame, N)
    assert not no_intercept.intercept
    effects = {"trait_region": np.array([[1.0, 2, 3]])}
    assert linear_predictor(effects, "trait", no_intercept.evaluate(frame)).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]


CONSTANT = cells(k=0.1, twice=cells()["age"] * 2 + 1, slope=cells()["region"], region_sex=cells()["region"])
REFUSED = [
    ("1 + k", "formula term 'k' is the same for every respondent, so it repeats the intercept. Leave it out"),
    ("1 + age + twice", "formula term 'twice' repeats the terms before it .*Leave one of them out"),
    ("1 + region + C(region)", r"formula term 'C\(region\)\[b\]' repeats the terms before it"),
    ("1 + log(male)", r"formula term 'log\(male\)' is not finite at every respondent. Check the transform"),
    ("1 + exec(age)", r"formula '1 \+ exec\(age\)': the function 'exec' is not allowed. Allowed are: B, C, I, "),
    ("1 + log(open(age))", "the function 'open' is not allowed"),
    ("1 + np.log(age)", "the function 'np.log' is not allowed"),
    ("1 + age.sum()", "the function 'age.sum' is not allowed"),
    ("1 + offset(age)", "the function 'offset' is not allowed"),
    ("trait ~ 1 + age", r"formula 'trait ~ 1 \+ age': leave out the left-hand side and '~'"),
    ("1 +", r"formula '1 \+' cannot be read .*Write it like '1 \+ age \+ \(1\|region\)'"),
    ("", "formula '' cannot be read"),
    ("1 + `age", "cannot be read .*names with spaces or signs go between backticks"),
    ("1 + (1|C(region))", r"'C\(region\)' cannot group effects; write a column's name after the '\|'"),
    ("1 + (1|slope)", "the effects of 'slope' would be called 'slope', which is taken. Rename the column 'slope'"),
    ("1 + (1|region:sex) + (1|region_sex)", "the effects of 'region:sex' would be called 'region_sex', which is taken"),
    ("0", "formula '0' has no terms. Write '1' for an intercept alone"),
]


@pytest.mark.parametrize(("formula", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_by_name(formula, message):
    with pytest.raises(InputError, match=message):
        design(formula, CONSTANT, N)


def test_a_constant_column_is_fine_without_an_intercept():
    bound = design("0 + k", CONSTANT, N)
    assert bound.scale.tolist() == [1]
    np.testing.assert_allclose(bound.evaluate(CONSTANT).slopes, 0.1)


def test_levels_of_the_same_text_are_refused():
    frame = cells(one=pd.Categorical(["x", "x:y"] * 4), two=pd.Categorical(["y:z", "z"] * 4))
    with pytest.raises(InputError, match="two levels of 'one:two' have the same text"):
        design("1 + (1|one:two)", frame, N)


def test_unknown_column_is_refused_with_the_known_ones():
    with pytest.raises(
        InputError, match=r"formula '1 \+ agge': column 'agge' is not in the data; the study has: age, male"
    ):
        variables("1 + agge", ["age", "male"])
    with pytest.raises(InputError, match="column 'nope' is not in the data; the study has: no covariates"):
        variables("1 + (1|nope)", [])


def test_new_rows_must_have_known_columns_and_levels():
    like = cells()[["age", "region"]]
    new = pd.DataFrame({"region": ["c", "a"], "age": [33, 44], "other": [1, 2]})
    made = conform(new, like)
    assert made.columns.tolist() == ["age", "region"]
    assert made["region"].cat.categories.tolist() == ["a", "b", "c"]
    with pytest.raises(
        InputError, match="column 'age' is needed by the model and is not in the frame; it has: region. Add the column"
    ):
        conform(new[["region"]], like)
    with pytest.raises(
        InputError,
        match="column 'region': level 'z' is neither in the sample nor in the population frame; known are: a, b, c",
    ):
        conform(new.assign(region=["a", "z"]), like)
    with pytest.raises(InputError, match="column 'region': level 'missing' is neither"):
        conform(new.assign(region=["a", None]), like)
    with pytest.raises(InputError, match="column 'age': not a number, found 'old'"):
        conform(new.assign(age=[33, "old"]), like)


def test_a_numeric_group_level_never_seen_is_refused():
    frame = cells(district=[1.0, 2] * 4)
    bound = design("1 + (1|district)", frame, N)
    with pytest.raises(InputError, match="district: level '3' is neither in the sample nor in the population frame"):
        bound.evaluate(frame.iloc[[0]].assign(district=3.0))


def test_functions_of_the_allowed_list_are_the_plain_ones():
    assert set(syntax.FUNCTIONS) <= syntax.ALLOWED
    frame = cells()
    np.testing.assert_allclose(
        design("0 + sqrt(age)", frame, N).evaluate(frame).slopes[:, 0] * design("0 + sqrt(age)", frame, N).scale,
        np.sqrt(frame["age"]),
    )
