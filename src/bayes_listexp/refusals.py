"""Assumptions, instruments and designs that do not make sense together, refused with the reason before any model is built."""

from __future__ import annotations

from collections.abc import Sequence

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import Instrument
from bayes_listexp.margins import KnownItem, Margin


def refuse_combinations(
    study: ListExperiment, counts: str, dependence: str, instruments: Sequence[Instrument], margins: Sequence[Margin]
) -> None:
    """Refuse what does not make sense together, with the reason.

    Raises
    ------
    InputError : naming what does not go with what, and the way out.
    """
    _refuse_with_versions(study.version, dependence, instruments, margins)
    if dependence == "saturated" and counts != "softmax":
        raise InputError(f"dependence = 'saturated' leaves the counts any distribution, which counts = '{counts}' does not. "
                         "Use counts = 'softmax'.")
    if study.item is not None and dependence in ("shift", "free", "saturated"):
        raise InputError(
            f"dependence = '{dependence}': with several sensitive items the control counts cannot depend on each of their "
            "traits at once. Use 'none', 'linear' or 'smooth' (the trait given the count)."
        )
    if study.item is not None and instruments:
        raise InputError(
            f"instrument '{instruments[0].name}': with several sensitive items it is not known which trait it observes. "
            "Make one study of each item."
        )
    labelled = [i.name for i in instruments if getattr(i, "replaces_control", False)]
    known = [m for m in margins if isinstance(m, KnownItem)]
    if (labelled or known) and counts != "poisson_binomial":
        raise InputError(
            f"{'instrument ' + repr(labelled[0]) if labelled else 'KnownItem'}: what is known of single control items informs "
            f"the counts only with counts = 'poisson_binomial', which is made of items; counts = '{counts}' is not."
        )
    for margin in known:
        if not isinstance(margin.item, int) or not 1 <= margin.item <= study.J:
            raise InputError(f"KnownItem: item = {margin.item!r}: with J = {study.J} control items it must be 1 to {study.J}.")
    if not study.listed["_treated"].eq(False).any() and not labelled:
        absent = sorted(set(range(1, study.J + 1)) - {m.item for m in known})
        if absent:
            raise InputError(
                "the study has no control arm, so the popularity of every control item must be known from elsewhere: "
                f"add a KnownItem for item {', '.join(map(str, absent))}."
            )


def _refuse_with_versions(version: str | None, dependence: str, instruments: Sequence[Instrument], margins: Sequence[Margin]) -> None:
    """Refuse what is about the items of one list where there are several lists."""
    if version is None:
        return
    apart = f"Make a study of one version for that (those whose '{version}' is the same)"
    if dependence in ("linear", "smooth"):
        raise InputError(f"dependence = '{dependence}': the trait cannot be modelled given the counts of lists that differ. Use 'none', "
                         "'shift' or 'free' (the counts given the trait), which each list has of its own.")
    items = [instrument.name for instrument in instruments if getattr(instrument, "replaces_control", False)]
    if items:
        raise InputError(f"instrument '{items[0]}': it observes the control items of one list, and the study has several list versions. "
                         f"{apart}, or leave the instrument out.")
    if any(isinstance(margin, KnownItem) for margin in margins):
        raise InputError("KnownItem: which list its item is on is not known, as the study has several list versions. "
                         f"{apart}, or leave the margin out.")
