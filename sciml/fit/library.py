"""What `discover` is asked about: the neural functions of a System, the candidate terms, and names for what is found."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp

from ..errors import FitError, NameUnknown, nearest
from ..symbols import Applied, declaration_of, distinct_nodes
from ..system import System, has_places, name_of, same_function, text


def neural_functions(system: System, term: Any) -> dict[Applied, list[Applied]]:
    """Each neural function that is meant, in the arguments its formula is written in, with all its applications."""
    everywhere = [n for e in system._expressions() for n in distinct_nodes(e) if isinstance(n, Applied) and declaration_of(n).kind == "neural"]
    everywhere = list(dict.fromkeys(everywhere))
    found: dict[Applied, list[Applied]] = {}
    for one in term if isinstance(term, tuple | list) else [term]:
        name = _name(one)
        same = [n for n in everywhere if declaration_of(n).name == name and (isinstance(one, str) or same_function(n, one))]
        if not same:
            names = [declaration_of(n).name for n in everywhere]
            raise NameUnknown(f"System '{system.name}' has no neural function '{name}'. {nearest(name, dict.fromkeys(names))}")
        for first in [one] if isinstance(one, Applied) else sorted(same, key=has_places, reverse=True):
            if not any(same_function(first, known) for known in found):
                found[first] = _applications(first, same)
    return dict(sorted(found.items(), key=lambda item: (declaration_of(item[0]).name, declaration_of(item[0]).payload["index"])))


def _applications(first: Applied, same: Sequence[Applied]) -> list[Applied]:
    """Where a function stands, if its formula can be written in the arguments of `first`."""
    applied = [n for n in same if same_function(n, first)]
    if not has_places(first) and applied != [first]:
        raise FitError(
            f"The function stands at several places, and a formula in the arguments of `{text(first)}` does not say what it is elsewhere. "
            f"Name it in arguments that are symbols: sci.discover(result, {declaration_of(first).name}(x, y))."
        )
    return applied


def _name(one: Any) -> str:
    if callable(one) and declaration_of(one) is None:  # what sci.neural(..., outputs=2) gives
        raise FitError('The network has several outputs. Name it by its text, sci.discover(result, "g"), or by what it gave: g1, g2 = g(x, y).')
    return name_of(one)


def candidates(system: System, function: Applied, degree: int, library: Iterable[Any] | None) -> list[sp.Expr]:
    """The candidate terms, checked."""
    if library is None:
        powers = itertools.chain.from_iterable(itertools.combinations_with_replacement(function.args, n) for n in range(degree + 1))
        return [sp.Mul(*factors) for factors in powers]
    terms = []
    for given in library:
        try:
            term = sp.sympify(given, strict=True)
        except sp.SympifyError:
            raise FitError(f"The library holds {given!r}, which is not an expression. Write terms such as library=[1, x, x*y].") from None
        _check_term(system, term)
        if term not in terms:
            terms.append(term)
    if not terms:
        raise FitError("The library is empty. Write terms such as library=[1, x, x*y].")
    return terms


def _check_term(system: System, term: sp.Expr) -> None:
    for node in distinct_nodes(term):
        d = declaration_of(node)
        name = d.name if d is not None else getattr(node, "name", None) if isinstance(node, sp.Symbol) else None
        if name is not None and name not in system.symbols and not (d is not None and d.kind in ("time", "function")):
            raise NameUnknown(
                f"The term `{text(term)}` of the library has '{name}', which System '{system.name}' does not. {nearest(name, system.symbols)}"
            )
        if name is not None and d is None:
            raise NameUnknown(f"The term `{text(term)}` of the library has a bare symbol '{name}'. Use the declared one: system.symbols[\"{name}\"].")
    if term.is_zero:
        raise FitError("The library holds 0, which explains nothing. Leave it out.")


def fresh(system: System, prefix: str, count: int, first: int = 0) -> list[str]:
    """Names that the System does not have yet."""
    numbers = (i for i in itertools.count(first) if f"{prefix}{i}" not in system.symbols)
    return [f"{prefix}{next(numbers)}" for _ in range(count)]


def prefix(function: Applied) -> str:
    """g_ for g_1, g_2 ...; for the second function of a network g_2_."""
    d = declaration_of(function)
    return d.name.replace(".", "_") + (f"_{d.payload['index'] + 1}_" if d.payload["outputs"] > 1 else "_")
