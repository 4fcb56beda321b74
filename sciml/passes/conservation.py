"""Conservation laws: combinations of the unknowns that the equations never change.

Each right side is a sum of terms, so that the right sides are N v(y) with a constant matrix N (equations, terms), in a
reaction network the stoichiometric matrix. A vector c with c N = 0 gives c f = 0 at every state, and for M y' = f the
total c M y is conserved (Feinberg, Foundations of Chemical Reaction Network Theory, 2019, section 3.4). The arithmetic is
exact. Weights are numbers where numbers do, else rational functions of parameters: V1*x1 + V2*x2.

At a steady state a law makes one equation redundant, and its total, which the initial values fix, takes the place.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from ..symbols import Applied, declaration_of, distinct_nodes
from ..system import System, text
from .constraints import determined, mass_rows
from .pipeline import run_passes

_HIGHEST = 6  # power up to which a sum is multiplied out

Vector = dict[int, sp.Expr]  # the number of an equation -> its weight
Entries = list[tuple[int, sp.Expr, sp.Expr, sp.Expr]]  # equation, number, parameters, what varies


@dataclasses.dataclass(frozen=True)
class ConservationLaw:
    """`total`, the sum of coefficients times unknowns, keeps its initial value.

    Attributes:
        coefficients: by unknown; numbers or expressions of parameters.
        redundant: the unknown whose equation follows from those of the others and may be replaced by the law.
    """

    coefficients: dict[Applied, sp.Expr]
    redundant: Applied

    @property
    def total(self) -> sp.Expr:
        """The conserved quantity as an expression."""
        return sp.Add(*(c * u for u, c in self.coefficients.items()))

    def __repr__(self) -> str:
        return f"{text(self.total)} is conserved"


def conservation_laws(system: System) -> tuple[ConservationLaw, ...]:
    """The linear conservation laws of a System, independent of each other.

    Found are all c with c f = 0 that follow from the terms of the right sides after multiplying out; a term that two
    equations write in different forms counts as two. Laws are not mixed between unknowns of different shapes.

    >>> import sciml as sci
    >>> from sciml.passes import conservation_laws
    >>> E, S, C, P = sci.variables("E S C P", initial=[1.0, 5.0, 0.0, 0.0])
    >>> on, off, cat = sci.parameters("on off cat", 1.0)
    >>> bind = on*E*S - off*C
    >>> t = sci.t
    >>> conservation_laws(sci.System({E.diff(t): -bind + cat*C, S.diff(t): -bind, C.diff(t): bind - cat*C, P.diff(t): cat*C}))
    (C + E is conserved, C + P + S is conserved)
    """
    reduced = run_passes(system)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, e in enumerate(reduced.equations):
        by_shape.setdefault(declaration_of(determined(e)).shape, []).append(i)
    rows = mass_rows(reduced)
    laws: list[ConservationLaw] = []
    for equations in by_shape.values():
        found = [v for v in _null_vectors(reduced, equations) if _coefficients(v, rows)]
        for vector, redundant in zip(found, _redundant(found), strict=True):
            laws.append(ConservationLaw(_coefficients(vector, rows), determined(reduced.equations[redundant])))
    return tuple(laws)


def _coefficients(vector: Vector, rows: list[dict[Applied, sp.Expr]]) -> dict[Applied, sp.Expr]:
    """c M by unknown."""
    made: dict[Applied, sp.Expr] = {}
    for i, weight in vector.items():
        for u, mass in rows[i].items():
            made[u] = made.get(u, sp.S.Zero) + weight * mass
    return {u: c for u, c in ((u, sp.expand(c)) for u, c in made.items()) if c != 0}


# -- terms ---------------------------------------------------------------------------------


def _entries(system: System, equations: list[int]) -> Entries:
    made: Entries = []
    for i in equations:
        for term in _terms(_inlined(system.equations[i].rhs, system)):
            number, rest = term.as_coeff_Mul()
            factors = sp.Mul.make_args(rest)
            of_parameters = [f for f in factors if _is_parametric(f)]
            varies = sp.Mul(*(f for f in factors if f not in of_parameters))
            made.append((i, _rational(number), sp.Mul(*of_parameters), varies))
    return made


def _inlined(expression: sp.Expr, system: System) -> sp.Expr:
    """With the definitions of unknowns that were eliminated."""
    while found := {n: system.eliminated[n] for n in distinct_nodes(expression) if n in system.eliminated}:
        expression = expression.xreplace(found)
    return expression


def _terms(expression: sp.Expr) -> Iterator[sp.Expr]:
    """The terms after multiplying out. Denominators stay as factors, in one form."""
    for summand in sp.Add.make_args(expression):
        factors = [g for f in sp.Mul.make_args(summand) for g in sp.Mul.make_args(_one_form(f))]
        sums = [_summands(f) for f in factors]
        if all(len(s) == 1 for s in sums):
            yield sp.Mul(*factors)
        else:
            for chosen in itertools.product(*sums):
                yield from _terms(sp.Mul(*chosen))


def _one_form(factor: sp.Expr) -> sp.Expr:
    """1/(2*x + 2) as 1/2 * 1/(x + 1)."""
    if factor.is_Pow and factor.base.is_Add and factor.exp.is_Integer and factor.exp < 0:
        return sp.factor_terms(factor.base) ** factor.exp
    return factor


def _summands(factor: sp.Expr) -> tuple[sp.Expr, ...]:
    if factor.is_Pow and factor.base.is_Add and factor.exp.is_Integer and 0 < factor.exp <= _HIGHEST:
        factor = sp.expand_multinomial(factor, deep=False)
    return sp.Add.make_args(factor)


def _is_parametric(factor: sp.Expr) -> bool:
    """A rational function of parameters that are numbers."""
    for node in distinct_nodes(factor):
        d = declaration_of(node)
        if d is not None:
            if not node.is_Symbol or d.kind not in ("parameter", "constant") or d.shape:
                return False
        elif not (node.is_Rational or node.is_Add or node.is_Mul or (node.is_Pow and node.exp.is_Integer)):
            return False
    return True


def _rational(number: sp.Expr) -> sp.Expr:
    """The decimal that a float was written as."""
    return sp.Rational(str(number)) if number.is_Float else number


# -- null vectors --------------------------------------------------------------------------


def _null_vectors(system: System, equations: list[int]) -> list[Vector]:
    entries = _entries(system, equations)
    if not all(number.is_Rational for _, number, _, _ in entries):  # infinities
        return []
    plain = _nullspace(((i, number, (of, varies)) for i, number, of, varies in entries), equations)
    vectors = _non_negative(plain)
    values = _generic([of for _, _, of, _ in entries])
    generic = _nullspace(((i, number * of.xreplace(values), varies) for i, number, of, varies in entries), equations)
    if len(generic) > len(plain):
        support = sorted({i for v in generic for i in v})
        near = ((i, number * of, varies) for i, number, of, varies in entries if i in support)
        vectors += _independent(vectors, [_without_denominators(v) for v in _nullspace(near, support)], values)
    return vectors


def _generic(expressions: list[sp.Expr]) -> dict[sp.Symbol, sp.Integer]:
    """Values of the parameters without relations between them."""
    symbols = dict.fromkeys(s for e in expressions for s in sorted(e.free_symbols, key=str))
    return {s: sp.Integer(sp.prime(500 + 7 * k)) for k, s in enumerate(symbols)}


def _nullspace(entries: Any, equations: list[int]) -> list[Vector]:
    """All c with sum c[i] * entry(i, term) = 0 for each term."""
    place = {i: k for k, i in enumerate(equations)}
    matrix: dict[Any, dict[int, sp.Expr]] = {}
    for i, value, term in entries:
        row = matrix.setdefault(term, {})
        row[place[i]] = row.get(place[i], sp.S.Zero) + value
    rows = [{k: w for k, w in ((k, sp.cancel(w)) for k, w in row.items()) if w != 0} for row in matrix.values()]
    filled = {r: row for r, row in enumerate(rows) if row}
    null = DomainMatrix.from_dict_sympy(max(len(rows), 1), len(equations), filled).to_field().nullspace()
    made: list[Vector] = [{} for _ in range(null.shape[0])]
    for (r, k), value in null.to_dok().items():
        made[r][equations[k]] = null.domain.to_sympy(value)
    return [dict(sorted(v.items())) for v in made]


def _non_negative(vectors: list[Vector]) -> list[Vector]:
    """Other vectors of the same space with fewer negative weights and no denominators: amounts add up."""
    vectors = [_without_denominators(v) for v in vectors]
    for _ in range(len(vectors)):
        changed = False
        for k, other in itertools.permutations(range(len(vectors)), 2):
            better = _added(vectors[k], vectors[other])
            if _negatives(better) < _negatives(vectors[k]):
                vectors[k], changed = _without_denominators(better), True
        if not changed:
            break
    return vectors


def _added(vector: Vector, other: Vector) -> Vector:
    """The vector with as much of the other one that a negative weight goes."""
    negative = [i for i, w in vector.items() if w < 0 and other.get(i, 0) > 0]
    if not negative:
        return vector
    share = max(-vector[i] / other[i] for i in negative)
    mixed = {i: vector.get(i, sp.S.Zero) + share * other.get(i, sp.S.Zero) for i in sorted({*vector, *other})}
    return {i: w for i, w in mixed.items() if w != 0}


def _negatives(vector: Vector) -> int:
    return sum(bool(w < 0) for w in vector.values())


def _without_denominators(vector: Vector) -> Vector:
    """Multiplied by the common denominator, divided by the common factor; of two signs the one with more plus."""
    weights = [sp.together(w) for w in vector.values()]
    common = sp.lcm_list([sp.fraction(w)[1] for w in weights])
    whole = [sp.cancel(w * common) for w in weights]
    divisor = sp.gcd_list(whole)
    whole = [sp.cancel(w / divisor) for w in whole]
    if 2 * sum(bool(w.could_extract_minus_sign()) for w in whole) > len(whole):
        whole = [-w for w in whole]
    return dict(zip(vector, whole, strict=True))


def _independent(known: list[Vector], more: list[Vector], values: dict[sp.Symbol, sp.Integer]) -> list[Vector]:
    """Those of `more` that are not combinations of the others and of what is known."""
    taken: list[Vector] = []
    for vector in more:
        tried = [{i: w.xreplace(values) for i, w in v.items()} for v in (*known, *taken, vector)]
        if len(_pivots(tried)) == len(tried):
            taken.append(vector)
    return taken


def _redundant(vectors: list[Vector]) -> list[int]:
    """As many equations as laws, which follow from the remaining ones."""
    values = {
        s: sp.Integer(sp.prime(500 + 7 * k)) for k, s in enumerate(sorted({s for v in vectors for w in v.values() for s in w.free_symbols}, key=str))
    }
    return _pivots([{i: w.xreplace(values) for i, w in v.items()} for v in vectors])


def _pivots(vectors: list[Vector]) -> list[int]:
    if not vectors:
        return []
    columns = sorted({i for v in vectors for i in v})
    place = {i: k for k, i in enumerate(columns)}
    rows = {r: {place[i]: w for i, w in v.items()} for r, v in enumerate(vectors)}
    _, pivots = DomainMatrix.from_dict_sympy(len(vectors), len(columns), rows).to_field().rref()
    return [columns[k] for k in pivots]


__all__ = ["ConservationLaw", "conservation_laws"]
