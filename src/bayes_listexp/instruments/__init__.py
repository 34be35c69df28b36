"""Instruments beside the list: each file makes one, and the registry below knows it by the word for its kind.

To add an instrument, write a frozen dataclass with the methods of :class:`bayes_listexp.instrument.Instrument` in a file of
its own, and register it: here for everybody, or with :func:`register` from a notebook.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Instrument
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.instruments.endorsement import Endorsement
from bayes_listexp.instruments.item_answers import ItemAnswers
from bayes_listexp.instruments.outcome import Outcome
from bayes_listexp.instruments.randomised_response import RandomisedResponse
from bayes_listexp.instruments.second_list import SecondList

KINDS: dict[str, type] = {
    "direct": DirectQuestion,
    "second_list": SecondList,
    "item_answers": ItemAnswers,
    "randomised_response": RandomisedResponse,
    "endorsement": Endorsement,
    "outcome": Outcome,
}
"""Instruments by the word that specs and stored fits know them by."""


def register(kind: str, instrument: type) -> None:
    """Make an instrument of one's own known, so that specs can name it and stored fits can be read."""
    KINDS[kind] = instrument


def settled(instruments: Sequence[Instrument], settings: Mapping[str, Mapping[str, Any]]) -> tuple[Instrument, ...]:
    """The instruments with some of their fields replaced, by the instruments' names.

    Raises
    ------
    InputError : settings of an instrument that the study does not have, or of a field that is not a setting.
    """
    names = [instrument.name for instrument in instruments]
    unknown = [name for name in settings if name not in names]
    if unknown:
        raise InputError(f"instruments: the study has no instrument '{unknown[0]}'; it has: {', '.join(names) or 'none'}.")
    return tuple(_replaced(i, settings[i.name]) if i.name in settings else i for i in instruments)


def made(name: str, table: Mapping[str, Any]) -> Instrument:
    """An instrument from a spec's table or a stored fit: ``kind`` says which, the name where it is left out.

    Raises
    ------
    InputError : an unknown kind, or a field that it does not have.
    """
    kind = str(table.get("kind", name))
    if kind not in KINDS:
        raise InputError(f"instrument '{name}': kind = '{kind}' is not known; there are: {', '.join(KINDS)}.")
    given = {"name": name} | {key: _frozen(value) for key, value in table.items() if key != "kind"}
    known = [field.name for field in dataclasses.fields(KINDS[kind])]
    unknown = [key for key in given if key not in known]
    if unknown:
        raise InputError(f"instrument '{name}': '{unknown[0]}' is not known; there are: {', '.join(known)}.")
    try:
        return KINDS[kind](**given)
    except TypeError as error:
        raise InputError(f"instrument '{name}': {str(error).partition('() ')[2] or error}.") from error


def described(instrument: Instrument) -> dict[str, Any]:
    """An instrument as plain data, which :func:`made` reads back.

    Raises
    ------
    InputError : its class is not registered.
    """
    kinds = [kind for kind, cls in KINDS.items() if type(instrument) is cls]
    if not kinds:
        raise InputError(f"instrument '{instrument.name}': {type(instrument).__name__} is not registered. Call "
                         "bayes_listexp.instruments.register(kind, class) first.")
    fields = dataclasses.fields(KINDS[kinds[0]])
    return {"kind": kinds[0], **{field.name: getattr(instrument, field.name) for field in fields}}


def _replaced(instrument: Any, changes: Mapping[str, Any]) -> Instrument:
    settable = [f.name for f in dataclasses.fields(instrument) if f.metadata.get("setting")]
    wrong = [name for name in changes if name not in settable]
    if wrong:
        raise InputError(f"instruments: '{wrong[0]}' is not a setting of '{instrument.name}'; there are: {', '.join(settable)}.")
    return dataclasses.replace(instrument, **{key: _frozen(value) for key, value in changes.items()})


def _frozen(value: Any) -> Any:
    """Lists, which TOML and JSON have, as tuples, which a frozen record has."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
