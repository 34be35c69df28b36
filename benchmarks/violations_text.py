"""The words of docs/violations.md, beside what its program prints."""
# ruff: noqa: E501 (a row of a Markdown table is one line)

INTRODUCTION = """\
# When an assumption does not hold

`python -m benchmarks.violations summary` prints this page from what `run` and `check` of the same program have kept.

A list experiment assumes that the control items are answered alike on both lists, that nobody lies, and, where a model is fitted, that
the model has the control counts right. This page breaks one assumption at a time and says what becomes of the estimates: how far
they are off, how often their 95 % intervals hold the truth, what another model costs where nothing is wrong, and which of
[the package's checks](howto/researcher.md) warns. Studies have 4 control items, 1,000 respondents (400 in "small arms"), no
covariates, and 30 % with the trait (3 % in "rare trait").

Estimators:

* the **difference in means**, with its normal interval;
* **ML**: maximum likelihood as other tools have it, by `maximum_likelihood`. *Binomial* is R's `ictreg` by default, *unconstrained* its
  `constrained = FALSE`, *beta-binomial* its `overdispersed = TRUE`, *floor and ceiling* its boundary models; *any counts*
  (the default of `maximum_likelihood`) has the softmax counts of our models. The interval is that of the inverse information; at
  the boundary there is none, and the truth counts as not held;
* **default**: the posterior of `fit` with its defaults (truthful answers, softmax counts, a shift for people with the trait), and of its
  alternatives: other dependence of the counts on the trait, other families of counts, the response models of the catalogue. Estimates
  are posterior medians, intervals equal-tailed.

Bias and errors are in percentage points. {studies} studies a scenario for posteriors (the Monte Carlo error of a coverage of 95 % is
{error:.1f} points) and {cheap:,} for all others ({cheap_error:.1f} points), the first of which are the same.

## What is wrong
"""

HEADINGS = {
    "overall": """\
## Over all scenarios

The mean distance of the coverage from 95 % (over all 15 scenarios, and over the five in which nothing but the control items is
unusual), scenarios in which it is below 90 %, the lowest coverage, the mean RMSE; and what the estimator does where nothing is wrong.
""",
    "likelihood": """\
## Without priors

Coverage of 95 % intervals in per cent, below 90 in bold, and (in brackets) the mean error in points.
""",
    "counts": """\
## The default, other dependence, other counts

Coverage in per cent, and (in brackets) the mean error of the posterior median.
""",
    "responses": """\
## The default and the response models

Coverage in per cent, and (in brackets) the mean error of the posterior median.
""",
    "rmse": "RMSE, and (in brackets) the mean width of the intervals, in points:\n",
    "alarms": """\
## Which check raises the alarm

Per cent of the studies in which a check fails. "Any" is any of `design_checks` without a model named, whose tests are adjusted for
their number (Holm). "(binomial)" are the checks of a study for which a binomial model is named. "Answers predicted" is a check of
the fitted model: an answer's number is outside its 99 % predictive interval.
""",
    "preferred": """\
## Whether LOO finds the right response model

Per cent of the studies in which a response model predicts better than the default by more than two standard errors of the
difference, and (after the stroke) worse by as much.
""",
    "bounds": """\
## Bounds

`lying_bounds` with nothing assumed of the share of liars, and `refusal_bounds`: coverage of their 95 % intervals, width of the bounds
and of the intervals, in points. Lee's bounds are about people who would answer either list, of whom fewer have the trait than of all.
""",
    "large": """\
## Four times as many respondents

4,000 respondents, {studies} studies a scenario: what is bias stays, and intervals that are half as wide miss it.
""",
    "sampling": """\
## How the posteriors were computed

By importance sampling of the models' own log density (`benchmarks/violation_models.py`; the tests hold it against the package's).
""",
}

CONCLUSION = """\
## The verdict

```{figure} _static/violations_coverage.svg
:alt: Coverage of 95 % intervals by scenario for five estimators; all numbers are in the tables below

How often 95 % intervals hold the truth
```

```{figure} _static/violations_bias.svg
:alt: Mean error by scenario for five estimators; all numbers are in the tables below

How far estimates are off on average
```

**Unusual control items are no trouble for the default.** Items of unequal popularity, items against each other, items that go with the
trait or against it: its intervals hold the truth in 92 to 95 % of studies, and are up to a fifth narrower than the difference in
means'. The binomial likelihood that other tools maximise holds it in 0 to 5 % in three of these five, with errors of 15 to 27 points,
and its beta-binomial extension in as few. Without dependence on the trait the softmax counts, too, fail where items go with it or
against it. A rare trait and small arms do the default no harm either; maximum likelihood has no interval at all for up to half of the
studies with a rare trait. With 4,000 respondents the default's shift is too stiff for items that go with the trait or against it (85
and 90 %, errors of 1 to 2 points); `dependence="free"` holds 90 and 94 %.

**Wrong answers are trouble for everybody.** No estimator of this page is right in all scenarios. Where the default's intervals fail, and
what to do:

| what is wrong | default: coverage, mean error | what repairs it | its price where nothing is wrong | what warns |
| --- | --- | --- | --- | --- |
| ceiling lies | 56 %, −9.0 | `response="liars"`: 90 %, −4.4; `lying_bounds` | RMSE 5.7 as before, intervals 2 % wider | "floor and ceiling": always, but also where a list is only popular |
| floor lies | 79 %, −6.4 | `response="liars"`: 93 %, −2.9; `lying_bounds` | the same | "floor and ceiling": always |
| the largest number, whatever applies | 50 %, +12.6 | `response="top_coded"`: 92 %, +1.0; `dependence="free"`: 84 %, +5.7 | RMSE 5.9; 5.6 with "free" | "specification": 9 of 10; "answers predicted": 6 of 10 |
| any number, whatever applies | 90 %, +4.4 | `response="careless"`: 92 %, +1.9 | RMSE 6.1, intervals 6 % wider | next to nothing |
| the longer list changes the answers | 59 %, −10.0 | nothing here; another list, a placebo item | – | next to nothing: 1 in 20 |
| the added item is left out | 80 %, −6.7 | `response="deflated"`: 96 %, −3.7, by wider intervals alone | RMSE 7.7, intervals 45 % wider | nothing |
| unequal refusals | 90 %, −4.1 | `refusal_bounds` for everybody | – | "missing answers": 9 of 10 |

**A design effect of this size is invisible.** When 15 % overlook an item on the longer list the prevalence comes out at half to two
thirds of the truth, and neither the no-design-effect test nor its Bayes factor nor any other check sees it: only answers that make a type
of people negative can be seen, and here the trait is frequent enough to hide that. A test that finds nothing says nothing. Nor does
LOO choose: it prefers the right response model by two standard errors in half of the studies with the largest number, and in 1 to
4 % of those with liars or careless people. And with 4,000 respondents everybody's intervals are half as wide about the same errors: of
a design effect they hold the truth in 5 %, of ceiling lies in 8 % (difference in means: 2 and 36 %).

**Is the default the best of our models?** Of those with truthful answers `dependence = "free"` does at least as well everywhere: the mean
distance of its coverage from 95 % is 8.9 points (the default's shift: 11.5), its worst coverage 58 % (50 %), its mean RMSE 7.3 (7.8) and,
where nothing is wrong, 5.6 (5.7) with intervals as wide. Nearly all of this is the one scenario in which people answer the largest
number; the others differ by less than their Monte Carlo error. With 4,000 respondents it is the same (24 and 29 points). With
`response = "liars"` besides, the distance is 5.7 and the mean RMSE 7.0, at no price that 100 studies could show. A wider prior of
the shift changes little, the types model (`saturated`) underestimates in small arms (85 %), no dependence and binomial or COM counts
lose. So, beside the default, show `fit(study, response="liars", dependence="free")`; where the two disagree, the answers at the edges
of the list decide. What speaks for the shift is that it has fewer parameters, which matters with covariates and groups; studies here
have none. The difference in means has the better coverage where answers are wrong (its distance is 7.7), as its intervals are wider
and it is free of the model's answer to what it cannot explain; its RMSE is larger where nothing is wrong (6.5).
"""
