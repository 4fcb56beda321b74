"""`pointwise`: a System of fields as residuals at points.

one set of units, real fields    every factor in place
derivatives carried out          D, at and formulas of coefficients
placeholders                     operators and coordinates become symbols
ansatz                           conditions that are built in leave the terms
combinations                     sums of derivatives that are carried as one
"""

import dataclasses
from typing import Any

import sympy as sp

from ...errors import CompileError, ModelError, NameUnknown, nearest
from ...symbols import Applied, Coordinate, declaration_of, distinct_nodes, t
from ...system import Equation, System, text, with_units
from ..discretize.complex_fields import Split, split_complex
from . import well_posed
from .ansatz import Ansatz, ansatz_of
from .collapse import collapsed, merged
from .conditions import Condition, conditions_of, fields_in, pinned
from .form import Partial, Place, Pointwise, Term
from .placeholders import Placeholders
from .reader import Reader


def pointwise(
    system: Any, *, built_in: Any = (), fields: tuple[str, ...] = (), check: bool = True, span: Any = None, agree: tuple[str, ...] = ()
) -> Pointwise:
    """A System of fields as residuals at points, for networks that are its solution.

    Args:
        system: a System with fields, not discretised.
        built_in: conditions that every network is to fulfil exactly: names of terms such as "initial u", "auto" for all that
            can be, or `()` for none.
        fields: names of parameters over space that are unknown: networks give them, too.
        check: whether too few conditions are refused. False where data make up for them.
        span: the start and the end of time, if they are known: numbers may decide whether conditions that are built in agree.
        agree: names among `fields` that are initial values and known to fulfil the conditions that are built in: an earlier
            solution, at its end.

    Returns:
        Its terms, what they need of the functions, and where they hold.

    Raises:
        ModelError: a condition is missing; a name that the System does not have.
        CompileError: an integral over space, white noise, an unknown of time alone, a derivative of a function without a formula.

    >>> import sciml as sci, sympy as sp
    >>> from sciml.passes import pointwise
    >>> x = sci.space("x", -1, 1)
    >>> u = sci.fields("u", sci.t, x)
    >>> burgers = sci.System(
    ...     [sci.eq(u.diff(sci.t), -u*u.diff(x) + 0.01*u.diff(x, 2))],
    ...     initial={u: -sp.sin(sp.pi*x)}, boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    >>> form = pointwise(burgers)
    >>> [term.name for term in form.terms]
    ["u'", 'u at x.left', 'u at x.right', 'initial u']
    >>> form.terms[0].residual, form.terms[0].operators
    (_u*_u_x + _u_t - 0.01*_u_xx, ('u', 'u_t', 'u_x', 'u_xx'))
    """
    return _Build(system, fields).form(built_in, check, span, agree)


def real_fields(system: System) -> Split:
    """The System in one set of units, with real fields only."""
    whole = with_units(system)
    split = split_complex(whole)
    final = getattr(whole, "final", {})
    if not split.parts or not final:
        return split
    ends = split_complex(whole.derive(initial=final)).system.initial
    return Split(split.system.derive(final=ends), split.parts, split.observed)


class _Build:
    def __init__(self, system: Any, unknown: tuple[str, ...]):
        self.declared = with_units(_checked(system, unknown))
        self.system = real_fields(self.declared).system
        self.fields = {n: s for n, s in _with_declared_arguments(self.system).items() if declaration_of(s).kind == "field" or n in unknown}
        self.coordinates = coordinates_of(self.system, tuple(self.fields.values()))
        self._read_with({})

    def _read_with(self, ansatz: Ansatz) -> None:
        self.placeholders = Placeholders({}, ("t0", "t1", *(c.name for c in self.coordinates)))
        for name in self.fields:  # the value of a function has its name for a key
            self.placeholders.of(Partial(name))
        self.reader = Reader(self.system, self.coordinates, tuple(self.fields), self.placeholders, ansatz)

    def form(self, built_in: Any, check: bool, span: Any, agree: tuple[str, ...]) -> Pointwise:
        conditions = _uniquely_named(conditions_of(self.system))
        if check:
            self._check(self._equations(), conditions)
        ansatz: Ansatz = {}
        built: dict[Condition, str] = {}
        if built_in:
            ansatz, built = ansatz_of(self.system, self.reader, conditions, built_in, span, agree)
        self._read_with(ansatz)
        terms = [*self._equations(), *(self._condition(c) for c in conditions if c not in built)]
        terms = [self._collapsed(term) for term in terms]
        unknowns = {n: self.reader.read(s) for n, s in self.fields.items()}
        kept = dict.fromkeys(key for e in (*(term.residual for term in terms), *unknowns.values()) for key in self.placeholders.used(e))
        return Pointwise(
            system=self.declared,
            coordinates=tuple(c.name for c in self.coordinates),
            layout=layout_of(self.coordinates),
            functions=tuple(self.fields),
            unknowns=unknowns,
            terms=tuple(terms),
            operators={key: self.placeholders.operators[key] for key in kept},
            depends={n: tuple(c.name for c in self.coordinates if c in s.args) for n, s in self.fields.items()},
            built_in=tuple(f"{c.name}: {c.cited}{remark}" for c, remark in built.items()),
            ansatz=ansatz,
        )

    # -- terms -----------------------------------------------------------------------------

    def _equations(self) -> list[Term]:
        determined: set[str] = set()
        self.names: dict[str, int] = {}
        return [self._equation(e, determined) for e in self.system.equations]

    def _equation(self, e: Equation, determined: set[str]) -> Term:
        if not any(getattr(declaration_of(n), "name", "") in self.fields for n in distinct_nodes(e.lhs, e.rhs)):
            self.reader.read(e.residual, {}, e.cited)  # unknowns of time are refused there, with their cure
            raise CompileError(f"{e.cited} holds no field, so no network can fulfil it. Remove it.")
        place, fixed = pinned(self.system, e) or (Place(), {})
        name = _name_of_equation(e, determined)
        return self._term(name, "equation", place, self.reader.read(e.residual, fixed, e.cited), e.cited)

    def _condition(self, c: Condition) -> Term:
        return self._term(c.name, c.kind, c.place, self.reader.read(c.lhs - c.rhs, c.fixed, c.cited), c.cited)

    def _term(self, name: str, kind: str, place: Place, residual: sp.Expr, cited: str) -> Term:
        operators = self.placeholders.used(residual)
        if not operators:
            raise ModelError(f"Nothing is left of {cited}: every derivative in it is 0, or it says {text(residual)} = 0. Remove or mend it.")
        self.names[name] = self.names.get(name, 0) + 1
        name = name if self.names[name] == 1 else f"{name} ({self.names[name]})"
        return Term(name, kind, place, residual, operators, cited)

    def _collapsed(self, term: Term) -> Term:
        residual = merged(collapsed(term.residual, self.placeholders), self.placeholders)
        if residual is term.residual:
            return term
        return Term(term.name, term.kind, term.place, residual, self.placeholders.used(residual), term.cited)

    def _check(self, equations: list[Term], conditions: list[Condition]) -> None:
        inside = [e for e in equations if not e.place.fixed]
        needed = [tuple(self.placeholders.operators[key] for key in e.operators) for e in inside]
        fields = {n: s for n, s in self.fields.items() if declaration_of(s).kind == "field"}
        well_posed.check(self.system, fields, well_posed.orders_of(needed), len(inside), conditions)


def _uniquely_named(conditions: list[Condition]) -> list[Condition]:
    names: dict[str, int] = {}
    made = []
    for c in conditions:
        names[c.name] = names.get(c.name, 0) + 1
        made.append(c if names[c.name] == 1 else dataclasses.replace(c, name=f"{c.name} ({names[c.name]})"))
    return made


def _checked(system: Any, unknown: tuple[str, ...]) -> System:
    """A System that has fields, and the names of unknown coefficients."""
    if not isinstance(system, System):
        raise ModelError(f"A network solves a System, not {type(system).__name__}: write sci.System([sci.eq(left, right)], ...).")
    if system.grid is not None:
        raise ModelError(
            f"System '{system.name}' is discretised, and a network needs no grid. Give the one that it was made from: system.grid.declared."
        )
    if not any(declaration_of(s).kind == "field" for s in system.symbols.values()):
        raise ModelError(f"System '{system.name}' has no field. Declare one, u = sci.fields(\"u\", sci.t, x), or use sci.solve(system, t_span).")
    coefficients = [n for n, s in system.symbols.items() if declaration_of(s).kind == "parameter" and declaration_of(s).over]
    for name in unknown:
        if name not in coefficients:
            raise NameUnknown(f"fields has '{name}', which is no parameter over coordinates. {nearest(name, coefficients)}")
    return system


def _with_declared_arguments(system: System) -> dict[str, Applied]:
    return {n: type(s)(*d.over) for n, s in system.symbols.items() if isinstance(s, Applied) and (d := declaration_of(s)).over}


def coordinates_of(system: System, functions: tuple[Applied, ...]) -> tuple[Coordinate, ...]:
    """The coordinates of a point: the time first, those of the function with most of them next, vectors last."""
    found: dict[Coordinate, None] = {}
    for s in sorted(functions, key=lambda s: -len(s.args)):
        found.update(dict.fromkeys(declaration_of(s).over))
    ordered = sorted(found, key=lambda c: (c != t, bool(c.declaration.shape)))
    return tuple(ordered)


def layout_of(coordinates: tuple[Coordinate, ...]) -> dict[str, slice]:
    """Where each coordinate lies in the flat vector of a point."""
    layout, start = dict[str, slice](), 0
    for c in coordinates:
        size = c.declaration.shape[0] if c.declaration.shape else 1
        layout[c.name] = slice(start, start + size)
        start += size
    return layout


def _name_of_equation(e: Equation, determined: set[str]) -> str:
    """`u'` for an equation of that rate, `u` for one without: after the field that it determines, else after all its fields."""
    rates = [n for n in distinct_nodes(e.lhs, e.rhs) if isinstance(n, sp.Derivative) and t in n.variables and isinstance(n.expr, Applied)]
    for rate in sorted(rates, key=lambda n: -dict(n.variable_count)[t]):
        field = declaration_of(rate.expr).name
        if field not in determined:
            determined.add(field)
            return field + "'" * int(dict(rate.variable_count)[t])
    names = fields_in(e.lhs, e.rhs) or ("equation",)
    field = next((n for n in names if n not in determined), None)
    if field is None:
        return ", ".join(names)
    determined.add(field)
    return field
