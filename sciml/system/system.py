"""The System: equations, initial values and observed quantities under one name, immutable."""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from ..errors import ModelError, NameUnknown, nearest
from ..symbols import Applied, Coordinate, Region, Surface, as_value, content, declaration_of, expression_content
from . import check
from .boundary import as_boundary, checked_boundary
from .display import latex, latex_name, text
from .domain import as_domain, checked_domain
from .equation import Equation, as_equation
from .names import Names, name_of, rename
from .structure import highest_orders
from .sums import checked_sums
from .terms import written_out


class System:
    """Equations and what belongs to them.

    Args:
        equations: `sci.eq(...)`; also `sympy.Eq`, pairs `(lhs, rhs)`, dicts `{lhs: rhs}`.
        initial: values at the start, by unknown or name: numbers, arrays, expressions of parameters;
            `x.diff(t)` or "x'" may be a key. Goes before what `sci.variables(initial=...)` says.
        final: values of fields at the end of time, written as those at the start: the terminal conditions of backward equations.
        boundary: conditions at the sides of space, `{x.left: sci.eq(u, 0), x.right: [...]}`, or on surfaces of the domain,
            `{hole.surface: sci.eq(u, 0)}`; everything in them is taken there.
        domain: a region of space, `sci.box((x, y), (0, 0), (1, 1)) - hole`; without one it is all of the coordinates' ranges.
        observed: further quantities by name, as expressions: they print, plot and save, and cost nothing to solve.
        units: of the time (and of coordinates): `{sci.t: "s"}`.
        calculus: how white noise is read, "ito" or "stratonovich".
        name: used as the prefix when this System becomes a component.
        components: Systems whose equations are taken in, with names like `motor.R`.
        description: a few words, or the citation.

    `system["x"]` and `system.x` give a symbol under the name it has in a System that has this one as a
    component (`motor.R`), which is how equations that tie components together are written.

    Raises:
        ModelError: undeclared or doubly declared names, too many equations, values that are not values.
        UnitError: units that do not fit.

    >>> import sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> k = sci.parameters("k", 0.5)
    >>> sci.System([sci.eq(x.diff(sci.t), -k*x)], name="decay")
    System 'decay'
      x' = -k*x
    """

    equations: tuple[Equation, ...]
    initial: dict[str, Any]
    boundary: dict[str, tuple[Equation, ...]]
    final: dict[str, Any]
    domain: Region | None
    surfaces: dict[str, Surface]
    """The surfaces among the keys of `boundary`, by name."""
    observed: dict[str, sp.Expr]
    units: dict[str, str]
    calculus: str
    name: str
    components: dict[str, "System"]
    description: str
    eliminated: dict[Applied, sp.Expr]
    """Unknowns that a pass has solved for, in the order in which they can be computed."""
    converted: bool = False
    """Whether the factors between units stand in the equations already."""
    grid: Any = None
    """Of a discretised System: where its fields live, and how expressions of them become arrays. None before."""
    symbols: dict[str, Any]
    """Every declared name with its symbol, in order of appearance."""

    def __init__(
        self,
        equations: Any,
        *,
        initial: Mapping[Any, Any] | None = None,
        boundary: Any = None,
        final: Mapping[Any, Any] | None = None,
        domain: Any = None,
        observed: Mapping[str, Any] | None = None,
        units: Mapping[Any, str] | None = None,
        calculus: str = "ito",
        name: str = "system",
        components: Iterable["System"] = (),
        description: str = "",
    ) -> None:
        own = [e for given in _listed(equations) for e in as_equation(given)]
        parts = check.components(components)
        whole = as_domain(domain, [p.domain for p in parts])
        conditions, surfaces = as_boundary(boundary, [p._as_component() for p in parts], whole)
        self._set(
            equations=(*(e for p in parts for e in p._as_component().equations), *own),
            initial={**_prefixed(parts, "initial"), **{name_of(k): as_value(v, name_of(k)) for k, v in (initial or {}).items()}},
            boundary=conditions,
            final={**_prefixed(parts, "final"), **{name_of(k): as_value(v, name_of(k)) for k, v in (final or {}).items()}},
            domain=whole,
            surfaces=surfaces,
            observed={**_prefixed(parts, "observed"), **{str(k): check.expression(v, str(k)) for k, v in (observed or {}).items()}},
            units={**{k: v for p in parts for k, v in p.units.items()}, **{name_of(k): v for k, v in (units or {}).items()}},
            calculus=calculus,
            name=name,
            components={p.name: p for p in parts},
            description=description,
            eliminated={},
            converted=False,
            grid=None,
        )
        check.whole(self)
        checked_boundary(self)
        checked_domain(self)
        checked_sums(self)

    def _set(self, **fields: Any) -> None:
        for key, value in fields.items():
            object.__setattr__(self, key, value)
        names = Names()
        for expression in self._expressions():
            names.read(expression)
        object.__setattr__(self, "symbols", names.symbols)
        object.__setattr__(self, "_memo", {})

    def _expressions(self) -> Iterable[sp.Basic]:
        for e in self.equations:
            yield e.lhs
            yield e.rhs
        for unknown, definition in self.eliminated.items():
            yield unknown
            yield definition
        for conditions in self.boundary.values():
            for e in conditions:
                yield e.lhs
                yield e.rhs
        yield from self.observed.values()
        yield from (v for values in (self.initial, self.final) for v in values.values() if isinstance(v, sp.Basic))

    # -- immutable, comparable ------------------------------------------------

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(f"A System does not change. Derive a new one: system.replace({key}=...).")

    def __delattr__(self, key: str) -> None:
        raise AttributeError("A System does not change.")

    @functools.cached_property
    def digest(self) -> str:
        """Content hash, equal in every process; names of files and lines do not count."""
        everything = (
            [(expression_content(e.lhs), expression_content(e.rhs)) for e in self.equations],
            [(k, content(self.initial[k])) for k in sorted(self.initial)],
            [(k, expression_content(v)) for k, v in self.observed.items()],
            *([[(k, expression_content(e.lhs), expression_content(e.rhs)) for k, v in self.boundary.items() for e in v]] if self.boundary else []),
            *([("final", [(k, content(self.final[k])) for k in sorted(self.final)])] if self.final else []),
            *([("domain", content(self.domain))] if self.domain is not None else []),
            *([("surfaces", content(self.surfaces))] if self.surfaces else []),
            *([content(self.grid)] if self.grid is not None else []),
            [(expression_content(k), expression_content(v)) for k, v in self.eliminated.items()],
            sorted(self.units.items()),
            self.calculus,
            self.name,
            self.converted,
        )
        return hashlib.sha256(repr(everything).encode()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, System) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> Any:
        return (_rebuild, ({k: getattr(self, k) for k in _FIELDS},))

    def replace(self, **changes: Any) -> "System":
        """A new System with some of its arguments changed; it is checked like any other.

        `equations` stands for all of them (those of components included), and `initial`, `observed` and
        `units` replace the whole dict: write `initial={**system.initial, "x": 1}` to change one entry.
        """
        if self.grid is not None:
            raise ModelError(
                "This System is discretised. Change the one it was made from, and discretise that: sci.discretize(system.replace(...), methods)."
            )
        allowed = ("equations", "initial", "boundary", "final", "domain", "observed", "units", "calculus", "name", "description")
        for key in changes:
            if key not in allowed:
                raise ModelError(f"System has no argument '{key}'. {nearest(key, allowed)}")
        given = {**{k: getattr(self, k) for k in allowed}, **changes}
        if isinstance(given["boundary"], Mapping):
            given["boundary"] = {self.surfaces.get(k, k) if isinstance(k, str) else k: v for k, v in given["boundary"].items()}
        new = System(**given)
        return new.derive(components=self.components, converted=self.converted)

    def derive(self, **changes: Any) -> "System":
        """For passes: a System with fields changed, trusted and not checked again."""
        new = object.__new__(System)
        new._set(**{**{k: getattr(self, k) for k in _FIELDS}, **changes})
        return new

    def subs(self, *replacements: Any) -> "System":
        """A new System with symbols replaced by expressions, as in SymPy: `system.subs(a, 2*b)` or `system.subs({a: 1})`.

        A neural function may be a key, applied to the symbols in which its replacement is written: with
        `{g(x, y): k*x*y}` a term `g(x, 2*z)` becomes `k*x*2*z`, too.

        Raises:
            NameUnknown: a key that the System does not have.
            ModelError: the name of a network with several outputs for a key.
        """
        pairs = dict([replacements] if len(replacements) == 2 else replacements[0])
        neural = {k: v for k, v in pairs.items() if self._is_neural(k)}
        formulas = [(self._application(k), sp.sympify(v, strict=True)) for k, v in neural.items()]
        plain = {self._symbol(k): sp.sympify(v, strict=True) for k, v in pairs.items() if k not in neural}

        def change(expression: Any) -> Any:
            return written_out(expression, formulas).subs(plain) if isinstance(expression, sp.Basic) else expression

        return self.replace(
            equations=[e.map(change) for e in self.equations],
            initial={k: change(v) for k, v in self.initial.items()},
            boundary={k: [e.map(change) for e in v] for k, v in self.boundary.items()},
            final={k: change(v) for k, v in self.final.items()},
            observed={k: change(v) for k, v in self.observed.items()},
        )

    def _is_neural(self, key: Any) -> bool:
        d = declaration_of(self.symbols.get(key) if isinstance(key, str) else key)
        return d is not None and d.kind == "neural"

    def _application(self, key: Any) -> Applied:
        """A neural function with the arguments in which its replacement is written: as in the key, or as first in the System."""
        known = declaration_of(self._symbol(key))
        if isinstance(key, Applied):
            return key
        if known.payload["outputs"] > 1:
            raise ModelError(
                f"'{known.name}' gives {known.payload['outputs']} functions. Replace each by itself: "
                f"{known.name}1, {known.name}2 = {known.name}(...); system.subs({{{known.name}1: ..., {known.name}2: ...}})."
            )
        return self.symbols[known.name]

    # -- names ----------------------------------------------------------------

    def _symbol(self, key: Any) -> sp.Expr:
        name = name_of(key)
        if name not in self.symbols:
            raise NameUnknown(f"System '{self.name}' has no '{name}'. {nearest(name, self.symbols)}")
        return self.symbols[name]

    def __getitem__(self, key: str) -> Any:
        if key in self.components:
            return self.components[key].derive(name=f"{self.name}.{key}")
        return rename(self._symbol(key), self.name)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_") or "symbols" not in self.__dict__:
            raise AttributeError(key)
        try:
            return self[key]
        except NameUnknown as problem:
            raise AttributeError(str(problem)) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.symbols, *self.components]

    def _as_component(self) -> "System":
        """This System with every name prefixed by its own."""
        renamed = lambda values: {f"{self.name}.{k}": rename(v, self.name) if isinstance(v, sp.Basic) else v for k, v in values.items()}  # noqa: E731
        return self.derive(
            equations=tuple(e.map(lambda side: rename(side, self.name)) for e in self.equations),
            initial=renamed(self.initial),
            final=renamed(self.final),
            boundary={k: tuple(e.map(lambda side: rename(side, self.name)) for e in v) for k, v in self.boundary.items()},
            observed=renamed(self.observed),
        )

    @property
    def unknowns(self) -> dict[str, Applied]:
        """Unknowns of time that the equations determine, by name."""
        return {declaration_of(u).name: u for u in highest_orders(self.equations) if u not in self.eliminated}

    @property
    def parameters(self) -> dict[str, Any]:
        return {n: s for n, s in self.symbols.items() if declaration_of(s).kind == "parameter"}

    @property
    def coordinates(self) -> dict[str, Coordinate]:
        return {n: s for n, s in self.symbols.items() if isinstance(s, Coordinate)}

    # -- to look at -----------------------------------------------------------

    def __repr__(self) -> str:
        lines = [f"System '{self.name}'", *(f"  {e}" for e in self.equations)]
        lines += [f"  domain {self.domain}"] if self.domain is not None else []
        lines += [f"  at {side}: {e}" for side, conditions in self.boundary.items() for e in conditions]
        lines += [f"  {text(u)} := {text(d)}" for u, d in self.eliminated.items()]
        lines += [f"  observed {n} = {text(e)}" for n, e in self.observed.items()]
        times = [("initial", self.initial), ("final", self.final)]
        lines += [f"  {word} {n} = {text(v) if isinstance(v, sp.Basic) else v}" for word, values in times for n, v in values.items()]
        return "\n".join(lines)

    def latex(self) -> str:
        """The equations as a LaTeX `aligned` block."""
        rows = [rf"{latex(e.lhs)} &= {latex(e.rhs)}" for e in self.equations]
        rows += [rf"{latex(e.lhs)} &= {latex(e.rhs)} \quad \text{{at {side}}}" for side, conditions in self.boundary.items() for e in conditions]
        rows += [rf"{latex_name(n)} &= {_latex_value(v)} \quad \text{{at the end}}" for n, v in self.final.items()]
        rows += [rf"{latex(u)} &:= {latex(d)}" for u, d in self.eliminated.items()]
        rows += [rf"{latex_name(n)} &= {latex(e)}" for n, e in self.observed.items()]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


_FIELDS = (
    "equations", "initial", "boundary", "final", "domain", "surfaces", "observed", "units", "calculus", "name", "components", "description",
    "eliminated", "converted", "grid",
)  # fmt: skip


def _listed(equations: Any) -> list[Any]:
    if isinstance(equations, Equation | sp.Equality | dict):
        return [equations]
    if isinstance(equations, sp.Basic | str) or not isinstance(equations, Iterable):
        raise ModelError(f"System needs a list of equations, not {equations!r}. Write sci.System([sci.eq(left, right), ...]).")
    return list(equations)


def _latex_value(value: Any) -> str:
    if isinstance(value, sp.Basic):
        return latex(value)
    return f"{value:g}" if isinstance(value, float) else r"\text{an array}"


def _prefixed(parts: list[System], field: str) -> dict[str, Any]:
    return {k: v for p in parts for k, v in getattr(p._as_component(), field).items()}


def _rebuild(fields: dict[str, Any]) -> System:
    new = object.__new__(System)
    new._set(**fields)
    return new
