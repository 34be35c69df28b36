"""Simulated studies, drawn by the same rules, formulas and instruments as the models.

:func:`simulate_survey` draws people from a population frame and gives their answers, with the truth; :func:`draw_study` gives the
people of a study new answers; the synthetic two-wave survey follows the published CSTO study.
"""

from bayes_listexp.simulate.answers import draw_answers, draw_studies, draw_study
from bayes_listexp.simulate.records import Drawn, Simulated
from bayes_listexp.simulate.sampling import Sampling
from bayes_listexp.simulate.surveys import Refusals, shares_as_frame, simulate_survey, simulate_surveys
from bayes_listexp.simulate.template import Questionnaire
from bayes_listexp.simulate.two_waves import (
    CITIES,
    ITEM_SHARES,
    NORTHERN,
    OTHER_REGIONS,
    OVERSAMPLE,
    two_wave_survey,
)

__all__ = [
    "CITIES",
    "ITEM_SHARES",
    "NORTHERN",
    "OTHER_REGIONS",
    "OVERSAMPLE",
    "Drawn",
    "Questionnaire",
    "Refusals",
    "Sampling",
    "Simulated",
    "draw_answers",
    "draw_studies",
    "draw_study",
    "shares_as_frame",
    "simulate_survey",
    "simulate_surveys",
    "two_wave_survey",
]
