"""Tables of reactions: what the models of chemistry here share.

A reaction is a line such as "O3 + OLE -> 0.5 ALD2 + HCHO - PAR", its speed (rate constant) * (product of what stands on the
left); a species on the left more than once, or with a number before it, enters with that power.
"""

from collections.abc import Iterable, Mapping

import sympy as sp


def side(text: str) -> dict[str, sp.Expr]:
    """How much of each species stands on one side: "NO + 2 HO2 - 0.5 PAR" gives {NO: 1, HO2: 2, PAR: -0.5}."""
    amounts: dict[str, sp.Expr] = {}
    for term in text.replace(" - ", " + -1 ").split("+"):
        *numbers, name = term.split() or [""]
        if name:
            amount = sp.Mul(*(sp.Integer(n) if n.lstrip("-").isdigit() else sp.Float(n) for n in numbers))
            amounts[name] = amounts.get(name, sp.S.Zero) + amount
    return amounts


def balance(species: Mapping[str, sp.Expr], reactions: Iterable[tuple[sp.Expr, str]]) -> dict[str, sp.Expr]:
    """What every species changes by, summed over pairs (rate constant, reaction)."""
    terms: dict[str, list[sp.Expr]] = {n: [] for n in species}
    for constant, reaction in reactions:
        left, right = (side(text) for text in reaction.split("->"))
        speed = constant * sp.Mul(*(species[n] ** amount for n, amount in left.items()))
        for n in dict.fromkeys((*left, *right)):
            terms[n].append((right.get(n, 0) - left.get(n, 0)) * speed)
    return {n: sp.Add(*found) for n, found in terms.items()}
