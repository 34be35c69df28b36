"""Who was asked: the sample beside its population, people asked several times, and what the checks take no account of."""

from __future__ import annotations

import pandas as pd

from bayes_listexp.checks.record import Check
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.representation import cells_outside_frame, frame_against_sample
from bayes_listexp.survey_design import PERSON, has_units
from bayes_listexp.weighting import kish


def one_list(study: ListExperiment) -> Check:
    """Without a control arm the design cannot be checked; how often each answer was given is all there is to see."""
    counts = study.listed.groupby("_answer")["_n"].sum().reindex(range(study.J + 2), fill_value=0)
    table = pd.DataFrame({"answer": counts.index, "n": counts.to_numpy()})
    text = ("Everybody was shown the treatment list, so nothing of the design can be checked: the result rests on what is known of "
            "the control items from elsewhere.")
    return Check("one list", "Are there two lists to compare?", None, None, table, text)


def nothing_to_compare(study: ListExperiment) -> Check:
    """What a study says in which no wave, list version or sensitive item has answers in both arms."""
    text = "No wave, list version or sensitive item has answers in both arms, so nothing in one arm can be compared with the other."
    return Check("two arms", "Do both arms have answers to the same list at the same time?", False, None, None, text,
                 advice="Check the columns of waves and list versions; where they are right, nothing but assumptions separates the trait "
                        "from the control items.")


def sampling(study: ListExperiment) -> list[Check]:
    """A note where respondents are weighted or were sampled together, which tests that count them alike do not know."""
    clustered = has_units(study.table)
    if not (study.weighted or clustered):
        return []
    text = ""
    if study.weighted:
        deff = kish(study)["deff"].iloc[0]
        text = (f"Tests of counts of answers and of balance count respondents alike, without their weights (design effect {deff:.2f}); "
                "what the list is worth is weighted. ")
    if clustered:
        text += ("Respondents were sampled in strata or clusters: differences in means allow for that, tests of counts of answers and of "
                 "balance do not, so that their p-values are too small where people sampled together answer alike.")
    text = text.strip()
    return [Check("sampling design", "Do the tests know how respondents were sampled?", None, None, None, text)]


def same_people(study: ListExperiment, person: str = "none") -> Check:
    """How many people answered in several waves, and what a model with these ``person`` effects makes of it."""
    question = "Are the same people asked in several waves?"
    answers = study.table[PERSON].value_counts()
    several, followed = int((answers > 1).sum()), int(answers[answers > 1].sum())
    table = answers.value_counts().sort_index().rename_axis("answers").rename("people").reset_index()
    text = f"{several:,} of {len(answers):,} people answered in several waves ({followed:,} of {int(answers.sum()):,} answers). "
    if person == "none":
        text += ("The model takes the answers of one person for those of independent people. Where they hang together, intervals of "
                 "changes between waves are wider than they need be and those of averages over waves too narrow. Fit with person = "
                 "'count' (or 'both'), which gives every person an effect of their own.")
    else:
        text += "The model has person effects: what the same person said in several waves hangs together."
    return Check("same people", question, person != "none", float(several), table, text)


def population(study: ListExperiment) -> Check:
    """Where the sample departs most from its population frame, and whether the frame has everybody who was asked.

    Departures in shares are for information (estimates for the population allow for them); respondents in cells that have nobody
    in the frame fail the check. The number is the largest difference in shares, 0-1.

    Raises
    ------
    InputError : the study has no population frame.
    """
    question = "Does the sample look like the population, and does the frame have everybody who was asked?"
    table, outside = frame_against_sample(study), cells_outside_frame(study)
    if table.empty:
        return Check("population", question, None, None, table, "The frame shares no column with the study to compare them by.")
    gaps = (table["sample"] - table["population"]).abs()
    row = table.loc[gaps.idxmax()]
    wave = f" in wave {row[study.wave]}" if study.wave in table.columns else ""
    weighted = f" ({row['weighted']:.1%} with weights)" if "weighted" in table.columns else ""
    text = (f"The sample departs most in {row['column']}: {row['level']} is {row['sample']:.1%} of the respondents{weighted}{wave} and "
            f"{row['population']:.1%} of the population.")
    if len(outside):
        first = ", ".join(f"{name} = {outside[name].iloc[0]}" for name in outside.columns if name != "n")
        text += (f" {int(outside['n'].sum()):,} respondents are in {len(outside)} cells that have nobody in the frame, such as {first}: "
                 "estimates for the population do not count people like them.")
    return Check("population", question, False if len(outside) else None, float(gaps.max()), table, text)
