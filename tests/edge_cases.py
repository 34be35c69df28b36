"""What goes wrong with list experiments in practice, and what becomes of it here: the right answer, or a message that helps.

Each case runs a public function on data that are odd in one way. It either gives an answer, which is checked against a number got
independently (a closed form, a likelihood written out respondent by respondent, the same data given properly, the number that R rightly
prints), or is refused with the column, the rows, the value and the remedy.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize, nnls
from scipy.special import expit
from scipy.stats import binom

from bayes_listexp import (
    ListExperiment,
    difference_in_means,
    linear_regression,
    maximum_likelihood,
    no_design_effect_test,
    nonlinear_least_squares,
)
from bayes_listexp.checks.lists import edges

SHARED = Path(__file__).parents[2] / "shared"
REFERENCE = SHARED / "reference" / "edge_cases.md"
FORMULA = "1 + south + age + male + college"
COVARIATES = ["south", "age", "male", "college"]
J = 3


class Answer(NamedTuple):
    """What a function answers, what is right, how far they may be apart, and where the right number comes from."""

    ours: Any
    right: Any
    within: float
    source: str


class Case(NamedTuple):
    """What is odd about the data, the call, and parts of the message if it is refused (none: it must answer)."""

    what: str
    run: Callable[[], Answer | Any]
    refused: tuple[str, ...] = ()


# Data


@cache
def _race() -> pd.DataFrame:
    """The race data beside the project, or people like them."""
    path = SHARED / "data" / "race.csv"
    if path.exists():
        return pd.read_csv(path)
    rng, n = np.random.default_rng(1), 1213
    frame = pd.DataFrame({name: rng.integers(0, 2, n) for name in ("treat", "south", "male", "college")})
    frame["age"] = np.round(rng.uniform(1.8, 9, n), 1)
    frame["state"] = np.where(frame["south"] == 1, rng.choice(list("abcdefgh"), n), rng.choice(list("klmnopqrs"), n))
    frame.loc[0, ["state", "south", "treat"]] = ["lonely", 0, 0]
    frame["y"] = rng.binomial(J, 0.6, n) + frame["treat"] * (rng.random(n) < expit(-3 + 1.5 * frame["south"] + 0.2 * frame["age"]))
    return frame


def race(**columns: Any) -> pd.DataFrame:
    """The race data with other columns."""
    return _race().assign(**columns)


def real() -> bool:
    """Whether R's numbers are for these data."""
    return (SHARED / "data" / "race.csv").exists()


def one(column: str, row: int, value: Any, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """The data with one value changed, by the number of the row."""
    data = (race() if frame is None else frame).copy()
    data[column] = data[column].astype(object)
    data.loc[data.index[row - 1], column] = value
    return data.infer_objects()


def without(arm: int, answer: int) -> pd.DataFrame:
    """The race data where nobody of an arm gives an answer."""
    return race()[~((race()["treat"] == arm) & (race()["y"] == answer))]


def ceiling_broken() -> pd.DataFrame:
    """Five respondents of the control arm answer 4 of 3 items."""
    data = race()
    data.loc[data.index[data["treat"] == 0][:5], "y"] = 4
    return data


def simulated(prevalence: Any, n: int = 1171, items: int = J, seed: int = 4) -> pd.DataFrame:
    """People of whom a share (or those whose g is 1) have the trait, with independent control items."""
    rng = np.random.default_rng(seed)
    g, arm = rng.integers(0, 2, n), rng.permutation(np.arange(n) % 2)
    trait = g == 1 if prevalence == "g" else rng.random(n) < prevalence
    return pd.DataFrame({"y": rng.binomial(items, 0.5, n) + arm * trait, "treat": arm, "g": g})


def study(data: Any, items: Any = J, **roles: Any) -> ListExperiment:
    return ListExperiment.from_frame(data, answer="y", arm="treat", J=items, **roles)


def with_holes() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The race data with missing answers and ages, and what is left when these respondents are taken away by hand."""
    holes = race(y=race()["y"].astype(float), age=race()["age"].astype(float))
    holes.loc[holes.index[10:30], "y"], holes.loc[holes.index[25:60], "age"] = np.nan, np.nan
    return holes, holes.dropna()


# Independent numbers


def difference(data: pd.DataFrame) -> float:
    """The difference in means."""
    return float(data.loc[data["treat"] == 1, "y"].mean() - data.loc[data["treat"] == 0, "y"].mean())


def least_squares(data: pd.DataFrame, columns: list[str]) -> float:
    """The mean of the linear regression's trait part over all respondents."""
    x = np.column_stack([np.ones(len(data)), data[columns]]).astype(float)
    found = np.linalg.lstsq(np.hstack([x, x * data["treat"].to_numpy()[:, None]]), data["y"], rcond=None)[0]
    return float((x @ found[x.shape[1]:]).mean())


def likelihood(data: pd.DataFrame, x: np.ndarray, items: int = J) -> tuple[float, float]:
    """Prevalence and log-likelihood where a likelihood written out respondent by respondent is highest (binomial counts)."""
    y, treated, k = data["y"].to_numpy(dtype=int), data["treat"].to_numpy() == 1, x.shape[1]

    def minus(at: np.ndarray) -> tuple[float, np.ndarray]:
        eta, zeta = x @ at[:k], x @ at[k:]
        p, h = expit(eta), expit(zeta)
        having, lacking = binom.pmf(y - 1, items, h), binom.pmf(y, items, h)
        total = np.where(treated, p * having + (1 - p) * lacking, lacking)
        by_eta = np.where(treated, p * (1 - p) * (having - lacking), 0.0)
        by_zeta = np.where(treated, p * having * (y - 1 - items * h) + (1 - p) * lacking * (y - items * h), lacking * (y - items * h))
        return -float(np.log(total).sum()), -np.concatenate([x.T @ (by_eta / total), x.T @ (by_zeta / total)])

    found = min((minimize(minus, np.r_[start, np.zeros(2 * k - 1)], jac=True, method="L-BFGS-B",
                          options={"maxiter": 3000, "maxfun": 5000, "ftol": 1e-14, "gtol": 1e-8}) for start in (-2.0, 0.0)),
                key=lambda result: result.fun)
    return float(expit(x @ found.x[:k]).mean()), -float(found.fun)


def design(data: pd.DataFrame, columns: list[str], intercept: bool = True) -> np.ndarray:
    """Columns about their means, which changes no prevalence and helps the search."""
    x = data[columns].to_numpy(dtype=float)
    return np.column_stack([np.ones(len(x)), (x - x.mean(0)) / x.std(0)]) if intercept else x


def steps(data: pd.DataFrame, columns: list[str], items: int = J) -> float:
    """The prevalence by least squares in two steps, respondent by respondent."""
    x, y, treated = design(data, columns), data["y"].to_numpy(dtype=float), data["treat"].to_numpy() == 1

    def step(rows: np.ndarray, rest: np.ndarray, top: int) -> np.ndarray:
        def squares(at: np.ndarray) -> tuple[float, np.ndarray]:
            p = expit(x[rows] @ at)
            apart = rest - top * p
            return float(apart @ apart), -2 * x[rows].T @ (apart * top * p * (1 - p))

        return min((minimize(squares, np.r_[start, np.zeros(x.shape[1] - 1)], jac=True, method="BFGS", options={"gtol": 1e-9})
                    for start in (-2.0, 0.0)), key=lambda result: result.fun).x

    common = step(~treated, y[~treated], items)
    return float(expit(x @ step(treated, y[treated] - items * expit(x[treated] @ common), 1)).mean())


def type_test(control: np.ndarray, treatment: np.ndarray, *, select: bool, draws: int = 4000) -> float:
    """P-value of the no-design-effect test: distances of simulated estimates by non-negative least squares.

    With ``select``, estimates that are more than sqrt(log n) of their standard errors above 0 are left out.
    """
    rng, ends, size = np.random.default_rng(8), [], len(control) - 1
    p, n = [part / part.sum() for part in (control, treatment)], [part.sum() for part in (control, treatment)]
    spread = [(np.diag(share) - np.outer(share, share)) / number for share, number in zip(p, n, strict=True)]
    for with_trait in (True, False):
        own, other = np.tril(np.ones((size, size + 1))), np.tril(np.ones((size, size + 2)), 0 if with_trait else 1)
        estimate = (own @ p[0] - other @ p[1]) * (1 if with_trait else -1)
        s = own @ spread[0] @ own.T + other @ spread[1] @ other.T
        kept = estimate <= np.sqrt(np.log(sum(n)) * np.diag(s)) if select else np.ones(size, dtype=bool)
        root = np.linalg.cholesky(s[np.ix_(kept, kept)]) if kept.any() else np.zeros((0, 0))
        within = np.linalg.inv(root)

        def away(t: np.ndarray, within: np.ndarray = within) -> float:
            return nnls(within, within @ t)[1] ** 2 if len(t) else 0.0

        observed = away(estimate[kept])
        null = [away(root @ z) for z in rng.standard_normal((draws, int(kept.sum())))] if observed > 1e-12 else [1.0]
        ends.append(float(np.mean(np.array(null) >= observed)))
    return min(1.0, 2 * min(ends))


def counts(data: pd.DataFrame, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of both arms counted."""
    return tuple(np.bincount(data.loc[data["treat"] == arm, "y"], minlength=items + 1 + arm) for arm in (0, 1))  # type: ignore[return-value]


# Calls


def dim(data: Any, items: Any = J, **roles: Any) -> float:
    return float(difference_in_means(study(data, items, **roles))["estimate"][0])


def lm(data: pd.DataFrame, columns: list[str], items: Any = J) -> float:
    """The prevalence of the linear regression: its trait part at the respondents' means."""
    made = study(data, items)
    table = linear_regression(made, " + ".join(["1", *columns]))
    own = table[table["part"] == "trait"].set_index("term")["estimate"]
    used = made.complete(columns)[0]
    return float(own["Intercept"] + sum(own[name] * used.loc[used["_answer"] >= 0, name].mean() for name in columns))


def nls(data: pd.DataFrame, formula: str = FORMULA, items: Any = J, **roles: Any) -> float:
    return float(nonlinear_least_squares(study(data, items, **roles), formula).prevalence["estimate"][0])


def ml(data: pd.DataFrame, formula: str = FORMULA, items: Any = J, counts: str = "binomial", roles: Mapping[str, Any] | None = None,
       **how: Any) -> float:
    return float(maximum_likelihood(study(data, items, **(roles or {})), formula, counts=counts, **how).prevalence["estimate"][0])  # type: ignore[arg-type]


def p_value(data: pd.DataFrame, items: int = J, method: str = "textbook") -> float:
    return float(no_design_effect_test(study(data, items), method)["p"][0])


def printed(number: float, otherwise: Callable[[], float]) -> float:
    """What R prints of the race data; of other data the independent number."""
    return number if real() else otherwise()


R_LM, R_NLS, R_ML = 0.0712744888709201, 0.0882868263662096, 0.155329051372416
"""What R prints for the race data as they are, by least squares, two steps and maximum likelihood (reference/list_race.json)."""


def base_ml() -> float:
    return printed(R_ML, lambda: likelihood(race(), design(race(), COVARIATES))[0])


WRITTEN_OUT = "likelihood written out"
PROPERLY = "same data given properly"


def long_list(ours: Callable[[], float], right: Callable[[], float], within: float) -> Answer:
    """J = 4 for a list of 3 is possible: nothing in the answers says otherwise, but the check of the ends does."""
    said = edges(study(race(), 4)).text
    assert "look up in the questionnaire that it has 4 control items" in said or not real()
    return Answer(ours(), right(), within, "J = 3; the check of floor and ceiling asks to look J up")


def complete_cases(ours: Callable[[pd.DataFrame], float]) -> Answer:
    """Missing answers and ages: respondents are left out, and counted."""
    holes, complete = with_holes()
    made = study(holes)
    left_out = made.cells(["age"]).exclusions[["control", "treatment", "arm unknown"]].to_numpy().sum()
    assert left_out == len(holes) - len(complete)
    return Answer(ours(holes), ours(complete), 1e-9, f"the complete rows by themselves; {left_out} left out are counted")


def missing_arm(ours: Callable[[pd.DataFrame], float]) -> Answer:
    holes = race(treat=race()["treat"].astype(float))
    holes.loc[holes.index[5:15], "treat"] = np.nan
    assert study(holes).exclusions.values.tolist() == [["arm missing", "treat", 0, 0, 10]]
    return Answer(ours(holes), ours(holes.dropna().astype({"treat": int})), 1e-9, "the other rows by themselves; 10 left out are counted")


def missing_weight() -> Any:
    return study(one("w", 4, np.nan, race(w=1.0)), weights="w")


def arms_named(data: pd.DataFrame, arms: tuple[Any, Any], ours: Callable[..., float], right: Callable[[], float]) -> Any:
    """Refused as it is; with ``arms``, as the message says, it is right."""
    assert abs(ours(data, arms=arms) - right()) < 1e-9
    return study(data)


def separation(right: str) -> Answer:
    """Everybody with g = 1 has the trait and nobody else."""
    data = simulated("g")
    truth, made = float(data["g"].mean()), study(data)
    if right == "nls":  # two steps fit each group's two means, as far as a share goes
        each = np.clip([difference(data[data["g"] == g]) for g in (0, 1)], 0, 1)
        return Answer(nls(data, "1 + g"), float((1 - truth) * each[0] + truth * each[1]), 1e-4, "differences in means, kept to 0 to 1")
    found = maximum_likelihood(made, "1 + g", counts="binomial", priors="default" if right == "prior" else None)
    if right == "prior":
        assert found.boundary == ()
        return Answer(found.prevalence["estimate"][0], truth, 3 * found.prevalence["se"][0], "truth, within 3 s.e.")
    assert "trait g" in found.boundary
    assert found.log_likelihood >= likelihood(data, design(data, ["g"]))[1] - 1e-3
    return Answer(found.prevalence["estimate"][0], truth, 0.06, "truth; the coefficient is said to lie at infinity")


def at_the_edge(prevalence: float, ours: Callable[[pd.DataFrame], float], right: str) -> Answer:
    """Nobody or everybody has the trait."""
    data = simulated(prevalence)
    apart = difference(data)
    if right == "difference":
        return Answer(ours(data), apart, 1e-9, "difference in means, not cut off")
    if right == "clipped":
        return Answer(ours(data), float(np.clip(apart, 0, 1)), 1e-4, "difference in means, kept to 0 to 1")
    return Answer(ours(data), likelihood(data, np.ones((len(data), 1)))[0], 2e-3, WRITTEN_OUT)


def renamed(name: str, right: Callable[[], float] = base_ml) -> Answer:
    """A covariate by another name is the same covariate."""
    data = race().rename(columns={"south": name})
    return Answer(ml(data, FORMULA.replace("south", name if name.isidentifier() else f"`{name}`")), right(), 2e-5, "R, by another name")


def years(ours: Callable[..., float], formula: str) -> Answer:
    """Age in years or decades: units change nothing."""
    return Answer(ours(race(age=race()["age"] * 10), formula), ours(race(), formula), 1e-6, "the same in decades")


def with_term(formula: str, column: str, values: Callable[[pd.DataFrame], Any], r: float) -> Answer:
    """A formula with a term of its own, against the column made by hand."""
    data = race(**{column: values(race())})
    right = likelihood(data, design(data, [*COVARIATES, column]))[0]
    if real():
        assert abs(right - r) < 0.01
    return Answer(ml(race(), formula), right, 1e-4, WRITTEN_OUT)


def small(n: int) -> Answer:
    """Three random subsamples: no likelihood is higher, and what cannot be told is said."""
    apart = []
    for seed in range(3):
        data = race().sample(n, random_state=seed)
        found = maximum_likelihood(study(data), "1 + south + male", counts="binomial")
        assert found.converged
        assert np.isnan(found.prevalence["se"][0]) == bool(found.boundary)  # no standard error that is not one
        shrunk = maximum_likelihood(study(data), "1 + south + male", counts="binomial", priors="default")
        assert np.isfinite(shrunk.prevalence["se"][0])
        apart.append(found.log_likelihood - likelihood(data, design(data, ["south", "male"]))[1])
    return Answer(float(np.max(np.abs(apart))), 0.0, 0.02, "log-likelihood written out, three subsamples (difference shown)")


def many(times: int) -> Answer:
    """The same respondents many times: the same estimate, and an error smaller by the root of how many."""
    made = study(pd.concat([race()] * times, ignore_index=True))
    tracemalloc.start()
    found = maximum_likelihood(made, "1 + south + age", counts="binomial").prevalence.iloc[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e8
    once = maximum_likelihood(study(race()), "1 + south + age", counts="binomial").prevalence.iloc[0]
    assert abs(found["se"] * np.sqrt(times) / once["se"] - 1) < 1e-4
    return Answer(found["estimate"], once["estimate"], 1e-6, "1,213 respondents; s.e. smaller by the root; below 500 MB")


def six_items(method: str) -> Answer:
    """Six control items, some of whose respondents fled from the long list: orthant probabilities against simulated estimates."""
    data = simulated(0.1, 900, 6)
    data.loc[data.index[(data["treat"] == 1) & (data.index % 31 == 0)], "y"] = 0
    right = type_test(*counts(data, 6), select=method == "textbook")
    return Answer(p_value(data, 6, method), right, 0.03, "4,000 simulated estimates")


def tested(data: pd.DataFrame, items: int, source: str, right: Callable[[], float]) -> Answer:
    """The test that keeps all inequalities."""
    return Answer(p_value(data, items, "none"), right(), 0.03, source)


def holes_in_test() -> Answer:
    holes, _ = with_holes()
    return Answer(p_value(holes), p_value(holes.dropna(subset=["y"]).astype({"y": int})), 1e-12, "the rows with an answer by themselves")


MISSING_CODE = "codes for missing answers"
J2 = ("column 'y'", "rows ", "with J = 2 the control arm answers 0 to 2, found 3", "Check J")
ABOVE = ("column 'y'", "rows ", "with J = 3 the control arm answers 0 to 3, found 4", "Check J, the coding of the arms", MISSING_CODE)
NEGATIVE = ("column 'y', row 11", "answers 0 to", "found -1", MISSING_CODE, "marked as missing")
TREAT12 = ("column 'treat'", "found ", "rows ", "have another value", "arms = (control value, treatment value)")
NO_CONTROL = ("column 'treat'", "no respondent with an answer is in the control arm", "(of ", "found 1", "supply both arms")
COLLINEAR = ("'twice' repeats the terms before it", "Leave one of them out")
DUMMIES = ("the trait's column 'state[", "follows from other columns in the treatment arm", "group its levels", "(1|column)")
NO_J = ("J is missing", "column 'y' reaches 3 in the control arm", "J = ...")
TWICE = {"twice": _race()["age"]}

PUBLISHED = {
    "J2_lm": Case("J = 2, 3 is right", lambda: dim(race(), 2), J2),
    "J4_lm": Case("J = 4, 3 is right",
        lambda: long_list(lambda: lm(race(), COVARIATES, 4), lambda: least_squares(race(), COVARIATES), 1e-9)),
    "J2_nls": Case("J = 2, 3 is right", lambda: nls(race(), items=2), J2),
    "J4_nls": Case("J = 4, 3 is right", lambda: long_list(lambda: nls(race(), items=4), lambda: steps(race(), COVARIATES), 0.005)),
    "J2_ml": Case("J = 2, 3 is right", lambda: ml(race(), items=2), J2),
    "J4_ml": Case("J = 4, 3 is right (counts of any distribution, the default)", lambda: long_list(
        lambda: ml(race(), items=4, counts="softmax"), lambda: ml(race(), counts="softmax"), 1e-3)),
    "J_missing_ok": Case("J left out, all cells present", lambda: ListExperiment.from_frame(race(), answer="y", arm="treat"), NO_J),
    "J_missing_empty": Case("J left out, nobody treated answers 4", lambda: ListExperiment.from_frame(
        without(1, 4), answer="y", arm="treat"), (*NO_J, "3 in the treatment arm")),
    "cell_J1_empty": Case("nobody treated answers 4", lambda: Answer(
        ml(without(1, 4), "1"), likelihood(without(1, 4), np.ones((len(without(1, 4)), 1)))[0], 1e-3, WRITTEN_OUT)),
    "cell_0_empty": Case("nobody treated answers 0", lambda: Answer(
        ml(without(1, 0)), likelihood(without(1, 0), design(without(1, 0), COVARIATES))[0], 1e-4, WRITTEN_OUT)),
    "control_above_J_lm": Case("five control rows answer 4 of 3", lambda: lm(ceiling_broken(), COVARIATES), ABOVE),
    "control_above_J_nls": Case("five control rows answer 4 of 3", lambda: nls(ceiling_broken()), ABOVE),
    "control_above_J_ml": Case("five control rows answer 4 of 3", lambda: ml(ceiling_broken()), ABOVE),
    "negative_y_lm": Case("one y = -1", lambda: lm(one("y", 11, -1), COVARIATES), NEGATIVE),
    "negative_y_ml": Case("one y = -1", lambda: ml(one("y", 11, -1)), NEGATIVE),
    "fractional_y": Case("one y = 1.5",
        lambda: ml(one("y", 11, 1.5)), ("column 'y', row 11", "a whole number of items, found 1.5", "missing")),
    "NA_y_x_lm": Case("missing answers and ages", lambda: complete_cases(lambda data: lm(data, COVARIATES))),
    "NA_y_x_nls": Case("missing answers and ages", lambda: complete_cases(nls)),
    "NA_y_x_ml": Case("missing answers and ages", lambda: complete_cases(ml)),
    "NA_treat_lm": Case("missing arms", lambda: missing_arm(lambda data: lm(data, COVARIATES))),
    "NA_treat_nls": Case("missing arms", lambda: missing_arm(nls)),
    "NA_treat_ml": Case("missing arms", lambda: missing_arm(ml)),
    "NA_weight_lm": Case("a missing weight", missing_weight,
        ("column 'w', row 4", "missing", "found nan", "Give every respondent a weight")),
    "NA_weight_ml": Case("a missing weight", missing_weight,
        ("column 'w', row 4", "missing", "found nan", "Give every respondent a weight")),
    "NA_x_error_topcode": Case("missing ages, top-coded answers", lambda: complete_cases(
        lambda data: ml(data, "1 + age", response="top_coded"))),
    "NA_x_error_uniform": Case("missing ages, careless answers", lambda: complete_cases(
        lambda data: ml(data, "1 + age", response="uniform"))),
    "treat12_lm": Case("arms coded 1 and 2", lambda: arms_named(
        race(treat=race()["treat"] + 1), (1, 2), dim, lambda: difference(race())), TREAT12),
    "treat12_ml": Case("arms coded 1 and 2", lambda: arms_named(
        race(treat=race()["treat"] + 1), (1, 2), lambda data, arms: ml(data, "1", roles={"arms": arms}), lambda: ml(race(), "1")), TREAT12),
    "treat_logical": Case("arm False or True", lambda: Answer(ml(race(treat=race()["treat"] == 1)), base_ml(), 2e-5, "R, coded 0 and 1")),
    "treat_character": Case("arm '0' or '1'",
        lambda: Answer(ml(race(treat=race()["treat"].astype(str))), base_ml(), 2e-5, "R, coded 0 and 1")),
    "treat_factor_nocontrol": Case("a factor without the level 'control'", lambda: arms_named(
        race(treat=pd.Categorical(np.where(race()["treat"] == 1, "long", "short"))), ("short", "long"), dim, lambda: difference(race())),
        ("column 'treat'", "'long'", "'short'", "rows ", "arms = (control value, treatment value)")),
    "treat_flipped": Case("arms the wrong way round", lambda: ml(race(treat=1 - race()["treat"])), ABOVE),
    "no_control_lm": Case("no control rows", lambda: lm(race()[race()["treat"] == 1], COVARIATES), NO_CONTROL),
    "no_control_ml": Case("no control rows", lambda: ml(race()[race()["treat"] == 1]), NO_CONTROL),
    "separation_lm": Case("trait = 1 exactly when g = 1", lambda: Answer(
        lm(simulated("g"), ["g"]), least_squares(simulated("g"), ["g"]), 1e-9, "least squares by hand")),
    "separation_nls": Case("trait = 1 exactly when g = 1", lambda: separation("nls")),
    "separation_ml": Case("trait = 1 exactly when g = 1", lambda: separation("ml")),
    "separation_bayesglm": Case("trait = 1 exactly when g = 1, default priors", lambda: separation("prior")),
    "prev0_lm": Case("nobody has the trait", lambda: at_the_edge(0.0, dim, "difference")),
    "prev0_nls": Case("nobody has the trait", lambda: at_the_edge(0.0, lambda data: nls(data, "1"), "clipped")),
    "prev0_ml": Case("nobody has the trait", lambda: at_the_edge(0.0, lambda data: ml(data, "1"), "likelihood")),
    "prev1_nls": Case("everybody has the trait", lambda: at_the_edge(1.0, lambda data: nls(data, "1"), "clipped")),
    "prev1_ml": Case("everybody has the trait", lambda: at_the_edge(1.0, lambda data: ml(data, "1"), "likelihood")),
    "collinear_lm": Case("a covariate twice", lambda: lm(race(**TWICE), [*COVARIATES, "twice"]), COLLINEAR),
    "collinear_nls": Case("a covariate twice", lambda: nls(race(**TWICE), FORMULA + " + twice"), COLLINEAR),
    "collinear_ml": Case("a covariate twice", lambda: ml(race(**TWICE), FORMULA + " + twice"), COLLINEAR),
    "scale_nls": Case("age in years and its square", lambda: years(nls, "1 + age + I(age**2)")),
    "scale_ml": Case("age in years and its square", lambda: years(ml, "1 + age + I(age**2)")),
    "state_dummies_lm": Case("a dummy for each state", lambda: linear_regression(study(race()), "1 + state"), DUMMIES),
    "state_dummies_nls": Case("a dummy for each state", lambda: nls(race(), "1 + state"), DUMMIES),
    "state_dummies_ml": Case("a dummy for each state", lambda: ml(race(), "1 + state"), DUMMIES),
    "factor_cov_ml": Case("a factor among the covariates", lambda: Answer(
        ml(race(south=np.where(race()["south"] == 1, "the South", "elsewhere"))), base_ml(), 2e-5, "R, coded 0 and 1")),
    "inline_ml": Case("I(age**2) in the formula", lambda: with_term(FORMULA + " + I(age**2)", "square", lambda d: d["age"] ** 2, 0.150)),
    "interaction_ml": Case("an interaction in the formula", lambda: with_term(
        FORMULA + " + south:age", "product", lambda d: d["south"] * d["age"], 0.150)),
    "odd_name_ml": Case("a name with a space, between backticks", lambda: renamed("from the south")),
    "cov_named_w": Case("a covariate called w", lambda: renamed("w")),
    "cov_named_w_ref": Case("the same covariate under its name", lambda: renamed("south")),
    "cov_named_t": Case("a covariate called t", lambda: renamed("t")),
    "log_y_ml": Case("answers named as I(y)", lambda: ListExperiment.from_frame(race(), answer="I(y)", arm="treat", J=J),
                     ("column 'I(y)' (answer) is not in the data", "the columns are: y, treat")),
    "no_intercept_ml": Case("a formula without intercept", lambda: Answer(
        ml(race(), "0 + south + age + male + college"), likelihood(race(), design(race(), COVARIATES, intercept=False))[0], 1e-4,
        WRITTEN_OUT)),
    **{f"smallN_{n}": Case(f"random subsamples of {n}", lambda n=n: small(n)) for n in (30, 60, 100, 200)},
    "predict_mem_10000": Case("about 10,000 respondents", lambda: many(8)),
    "predict_mem_100000": Case("about 100,000 respondents", lambda: many(83)),
    "icttest_NA": Case("no-design-effect test, missing answers", holes_in_test),
    "icttest_J2": Case("no-design-effect test, J = 2, 3 is right", lambda: p_value(race(), 2), J2),
    "icttest_J4": Case("no-design-effect test, J = 4, 3 is right", lambda: Answer(
        p_value(race(), 4), p_value(race(), J), 1e-9, "J = 3: an answer that nobody gives says nothing")),
    "icttest_empty": Case("no-design-effect test, nobody treated answers 0", lambda: tested(
        without(1, 0), J, "no estimate is negative, so p = 1 by its definition", lambda: 1.0)),
    "icttest_logical": Case("no-design-effect test, arm False or True", lambda: tested(
        race(treat=race()["treat"] == 1), J, "4,000 simulated estimates", lambda: type_test(*counts(race(), J), select=False))),
    "icttest_J6": Case("no-design-effect test, J = 6", lambda: six_items("textbook")),
    "icttest_J6_gmsF": Case("no-design-effect test, J = 6, all inequalities", lambda: six_items("none")),
}
"""The cases of the reference file, by its names."""
