"""The likelihood of persons: what they said in all waves, given their effects, at the nodes of a quadrature rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor.tensor as pt

from bayes_listexp.instrument import Rows
from bayes_listexp.likelihood import SMALLEST, RowTables, trait_chances
from bayes_listexp.persons import COUNT, EFFECTS, TRAIT
from bayes_listexp.prediction import Points, at_nodes, node_rule, row_probabilities
from bayes_listexp.specification import Blueprint


def log_given_effects(
    plan: Blueprint, parameters: Mapping[str, Any], at: Points, rows: Rows, tables: RowTables
) -> tuple[Any, np.ndarray]:
    """Log P(trait, all that was observed | cell, person effects) of each row, (..., node, row, trait), and the logarithms of the
    nodes' weights, (node,), with one node for each pair of nodes where there are two effects.
    """
    nodes, weights = node_rule(plan, COUNT)
    predicted, given = at_nodes(plan, parameters, at, COUNT, nodes)
    if TRAIT not in EFFECTS[plan.specification.person]:
        return row_probabilities(plan, given, predicted, rows, tables), np.log(weights)
    # The effect on the count matters to the answers given the trait, that on the trait to the trait alone: each has its own nodes.
    given_trait = predicted._replace(states=predicted.counts * np.ones((2, 1)))
    told = row_probabilities(plan, given, given_trait, rows, tables)
    trait_nodes, trait_weights = node_rule(plan, TRAIT)
    moved, _ = at_nodes(plan, parameters, at, TRAIT, trait_nodes)
    chance = pt.take(pt.log(trait_chances(moved.trait)[..., 0] + SMALLEST), rows.cell, axis=-2)
    joint = told[..., :, None, :, :] + chance[..., None, :, :, :]
    shape = [joint.shape[i] for i in range(joint.ndim)]
    pairs = joint.reshape((*shape[:-4], len(nodes) * len(trait_nodes), *shape[-2:]), ndim=joint.ndim - 1)
    return pairs, np.log(weights[:, None] * trait_weights).ravel()


def of_persons(log_p: Any, row: Any) -> Any:
    """Log P(all that a person said | effects), (person, node), from that of each row, (node, row).

    ``row`` (person, slot) are positions of rows, -1 where there is none.
    """
    padded = pt.concatenate([pt.zeros_like(log_p[:, :1]), log_p], axis=1).T
    said = pt.take(padded, (row + 1).ravel(), axis=0)
    return said.reshape((row.shape[0], row.shape[1], log_p.shape[0])).sum(axis=1)
