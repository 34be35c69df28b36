"""What a survey's margin on one control item adds to the published CSTO table: the interval of total support at three discounts.

The list's second control item is membership in the Eurasian Economic Union. The Central Asia Barometer 2017-2019 asked whether
joining it benefitted the economy: 72 % agree (Laruelle & Royce 2020, PONARS Memo 658). Another question in other years, so it is
discounted; its sample size is not printed, so it counts as 1,000 respondents before the discount. The last row is hypothetical:
all four control items known from surveys of 1,000.

``python benchmarks/known_control_item.py`` prints the table as Markdown.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_listexp import KnownItem, fit_published, read_published
from bayes_listexp.published.table import total_only
from bayes_listexp.sampling import Sampler
from bayes_listexp.spec import CSTO_TABLE, bundled

J, N, EEU, AGREE, RESPONDENTS = 4, 400, 2, 0.72, 1000
DISCOUNTS = (0.01, 0.1, 1.0)


def margin(item: int, share: float, discount: float) -> KnownItem:
    """A survey of 1,000 in which this share agreed, discounted."""
    return KnownItem(item, yes=share * RESPONDENTS, n=RESPONDENTS, discount=discount)


def interval(margins: list[KnownItem], sampler: Sampler, seed: int = 1) -> tuple[float, float, float, float]:
    """Posterior mean, sd, and the 95 % interval of total support by the total row."""
    table = total_only(read_published(bundled(CSTO_TABLE), J=J, N=N))
    tree = fit_published(table, seed=seed, known_items=margins, sampler=sampler)
    draws = tree["posterior"]["support"].to_numpy()[..., 0].ravel()
    return float(draws.mean()), float(draws.std()), *(float(q) for q in np.quantile(draws, [0.025, 0.975]))


def comparison(sampler: Sampler) -> pd.DataFrame:
    """One row per discount of the margin, and the two ends: no margin, and all four items known."""
    control_mean = 2.76
    rest = (control_mean - AGREE) / (J - 1)
    everything = [margin(j, AGREE if j == EEU else rest, 1.0) for j in range(1, J + 1)]
    cases = {"no margin": [margin(EEU, AGREE, 0.0)]}
    cases |= {f"discount {a:g}, worth {a * RESPONDENTS:.0f} respondents": [margin(EEU, AGREE, a)] for a in DISCOUNTS}
    cases |= {"all four items known (hypothetical)": everything}
    rows = [(name, *interval(margins, sampler)) for name, margins in cases.items()]
    out = pd.DataFrame(rows, columns=["margin on the EEU item", "support", "sd", "lower", "upper"])
    out["width against none"] = (out["upper"] - out["lower"]) / (out["upper"] - out["lower"]).iloc[0]
    return out


if __name__ == "__main__":
    table = comparison(Sampler(draws=5000, tune=1000, chains=4)).round(4)
    print("| " + " | ".join(table.columns) + " |\n|" + "---|" * table.shape[1])
    for row in table.itertuples(index=False):
        print("| " + " | ".join(map(str, row)) + " |")
