"""Manufactured solutions: a System changed so that a formula solves it, for tests of order and for examples with a known answer.

Roache, Code verification by the method of manufactured solutions, J. Fluids Eng. 124 (2002) 4.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from ...errors import CompileError, ModelError, NameUnknown, nearest
from ...symbols import Applied, At, Coordinate, D, Dot, Head, declaration_of, distinct_nodes, t
from ...system import Equation, System, name_of, text
from ..indexed import Formulas, by_components, resolved
from .arrays import as_at, coordinates_in


def manufacture(system: Any, solution: Any) -> System:
    """The System with sources, conditions at the sides and initial values such that `solution` solves it.

    Args:
        system: a System with fields, not discretised.
        solution: for every field and every other unknown an expression of its coordinates, the time and parameters.

    Returns:
        A System with the same left sides. Each equation has a source added; each condition the right side that the solution
        gives there; the initial values are those of the solution at t = 0, so solve it with t_span=(0, ...). Fields without a
        rate, such as a pressure, get no initial value. Values at the end stay formulas of t.
        A parameter over space that was declared as an expression counts as that
        expression in the sources.

    Raises:
        ModelError: an unknown without a solution, a symbol that no one declared, a solution that a periodic coordinate cannot have.

    >>> import sciml as sci, sympy as sp
    >>> x = sci.space("x", 0, 1)
    >>> u = sci.fields("u", sci.t, x)
    >>> burgers = sci.System([sci.eq(u.diff(sci.t), u.diff(x, 2) - u*u.diff(x))], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x), 0)})
    >>> made = sci.manufacture(burgers, {u: sci.t*x})
    >>> sp.factor(made.equations[0].rhs - burgers.equations[0].rhs)
    x*(t**2 + 1)
    >>> made.boundary["x.right"][0].rhs, made.initial
    (t, {'u': 0.0})
    """
    if not isinstance(system, System):
        raise ModelError(f"sci.manufacture takes a System, not {type(system).__name__}: sci.manufacture(system, {{u: expression}}).")
    if system.grid is not None:
        raise ModelError(
            "sci.manufacture takes the System as it was declared, and this one is discretised. "
            "Write sci.discretize(sci.manufacture(system, {u: expression}), methods)."
        )
    formulas = _Formulas(system, solution)
    return system.replace(
        equations=[formulas.sourced(e) for e in system.equations],
        boundary={system.surfaces.get(side, side): [formulas.condition(e, side) for e in listed] for side, listed in system.boundary.items()},
        initial=formulas.initial(),
        final={name: formulas.of[name] for name in system.final},
    )


class _Formulas:
    """The solution, checked, and expressions with it put in."""

    def __init__(self, system: System, solution: Any):
        self.system = system
        self.unknowns = {
            n: type(s)(*(declaration_of(s).over or (t,))) for n, s in system.symbols.items() if declaration_of(s).kind in ("field", "unknown")
        }
        if not isinstance(solution, Mapping):
            raise ModelError(f"The solution is a dict, {{u: expression}}, not {type(solution).__name__}.")
        self.of: dict[str, sp.Expr] = {}
        for key, value in solution.items():
            name = name_of(key)
            if name not in self.unknowns:
                raise NameUnknown(f"System '{system.name}' has no unknown '{name}' to have a solution. {nearest(name, self.unknowns)}")
            self.of[name] = self._checked(name, value)
        missing = [n for n in self.unknowns if n not in self.of]
        if missing:
            raise ModelError(
                f"sci.manufacture needs a solution for every unknown of System '{system.name}', and '{missing[0]}' has none. "
                f"Write sci.manufacture(system, {{..., {missing[0]}: expression}})."
            )
        self._memo: dict[Any, Any] = {}

    def _checked(self, name: str, value: Any) -> sp.Expr:
        own = declaration_of(self.unknowns[name]).over or (t,)
        try:
            expression = sp.sympify(value, strict=True)
        except sp.SympifyError:
            raise ModelError(f"The solution for '{name}' is {value!r}: give an expression of {', '.join(c.name for c in own)}.") from None
        for n in sorted(expression.free_symbols, key=str):
            if declaration_of(n) is None:
                raise ModelError(f"The solution for '{name}' holds Symbol('{n}'), which is not declared. {_cure(str(n), self.system)}")
        for n in distinct_nodes(expression):
            d = declaration_of(n)
            if d is not None and d.kind in ("field", "unknown"):
                raise ModelError(
                    f"The solution for '{name}' holds the unknown '{d.name}'. Write the formula itself, of {', '.join(c.name for c in own)}."
                )
            if isinstance(n, Coordinate) and n not in own:
                raise ModelError(
                    f"The solution for '{name}' depends on {n.name}, and '{name}' does not: it depends on {', '.join(c.name for c in own)}."
                )
        for c in own:
            if c != t and c.declaration.payload["periodic"] and not periodic_in(expression, c):
                low, high = (c.declaration.payload[k] for k in ("low", "high"))
                raise ModelError(
                    f"'{c.name}' is periodic, and the solution for '{name}' has other values at {c.name} = {high:g} than at {low:g}. "
                    f"Repeat it, as sp.sin(2*sp.pi*{c.name}/{high - low:g}) does, or declare {c.name} without periodic=True."
                )
        return expression

    # -- equations, conditions, initial values --------------------------------------------------

    def sourced(self, e: Equation) -> Equation:
        """The equation with a source on its right side; on the left where only the left speaks of unknowns."""
        left, right = self.value(e.lhs), self.value(e.rhs)
        return Equation(e.lhs, self._right_side(e, left, right), e.where, e.of)

    def condition(self, e: Equation, side: str) -> Equation:
        """A condition with the right side that the solution gives it."""
        if side in self.system.surfaces:
            region = self.system.surfaces[side].region
            left, right = (on_surface(self.value(s), region) for s in (e.lhs, e.rhs))
            return Equation(e.lhs, self._right_side(e, left, right), e.where, e.of)
        name, _, end = side.rpartition(".")
        coordinate = self.system.coordinates[name]
        low_or_high = coordinate.declaration.payload["low" if end == "left" else "high"]
        left, right = (self._at_side(e, self.value(s), coordinate, low_or_high) for s in (e.lhs, e.rhs))
        return Equation(e.lhs, self._right_side(e, left, right), e.where, e.of)

    def _right_side(self, e: Equation, left: sp.Expr, right: sp.Expr) -> sp.Expr:
        if not self._speaks_of_unknowns(e.rhs):
            return shorter(left)
        return e.rhs + shorter(left - right)

    def _speaks_of_unknowns(self, e: sp.Expr) -> bool:
        return any(getattr(declaration_of(n), "kind", "") in ("field", "unknown") for n in distinct_nodes(e))

    def _at_side(self, e: Equation, value: sp.Expr, coordinate: Coordinate, position: float) -> sp.Expr:
        """Taken at the side; fields over another coordinate, at an interface, where the two meet."""
        fields = [declaration_of(n).over for n in distinct_nodes(e.lhs, e.rhs) if getattr(declaration_of(n), "kind", "") == "field"]
        own = {c for over in fields if coordinate in over for c in over}
        here = {c: exact(position) for c in coordinates_in(value) if c == coordinate or c not in own}
        return value.subs(here)

    def initial(self) -> dict[str, Any]:
        """Values, and rates where the equations have higher orders, at t = 0."""
        found: dict[str, Any] = {}
        for name, symbol in self.unknowns.items():
            order = _time_order(self.system, symbol)
            if t not in symbol.args or (order == 0 and name not in self.system.initial and declaration_of(symbol).value is None):
                continue
            for k in range(max(order, 1) - (name in self.system.final)):
                value = shorter(self.of[name].diff((t, k)).subs(t, 0))
                if value.has(sp.nan, sp.zoo, sp.oo):
                    what = f"the rate of order {k} of the" if k else "the"
                    raise ModelError(f"At t = 0 {what} solution for '{name}' has no value. Shift it in time: {text(self.of[name])} with t + 1 for t.")
                found[name + "'" * k] = value
        return found

    # -- expressions with the solution put in -----------------------------------------------------

    def value(self, e: Any) -> Any:
        """An expression with the solution in place of the unknowns, all derivatives and integrals carried out."""
        if e not in self._memo:
            self._memo[e] = self._value(e)
        return self._memo[e]

    def _value(self, e: Any) -> Any:
        d = declaration_of(e)
        if d is not None and d.kind == "noise":
            raise CompileError(f"The white noise '{d.name}' leaves no formula a solution. Manufacture the System without it.")
        if d is not None and d.kind in ("field", "unknown"):
            return self.of[d.name] if e == self.unknowns[d.name] else self.value(as_at(e))
        if d is not None and d.kind == "parameter" and d.over and isinstance(d.value, sp.Basic):
            return self.value(d.value)
        if isinstance(e, sp.Sum) or by_components(e):
            inner = resolved(e, Formulas(self.value), f"`{text(e)}`")
            return self.value(inner) if inner != e else e.func(*(self.value(a) for a in e.args))
        if isinstance(e, sp.Derivative):
            return self.value(e.expr).diff(*e.variable_count)
        if isinstance(e, D):
            return self.value(e.args[0]).diff(e.args[1])
        if isinstance(e, sp.Subs):
            return self.value(as_at(e))
        if isinstance(e, At):
            return self.value(e.args[0]).subs(e.args[1], exact(e.args[2]))
        if isinstance(e, sp.Integral):
            return _integrated(self.value(e.function), e.limits)
        if isinstance(type(e), Head) or e.args:
            return e.func(*(self.value(a) for a in e.args))
        return e


def _integrated(value: sp.Expr, limits: Any) -> sp.Expr:
    for c, low, high in limits:
        low, high = (exact(v) for v in (low, high))
        inner = sp.Dummy(c.name, real=True)
        found = sp.integrate(sp.expand(value.subs(c, inner)), (inner, low, high))
        # what SymPy cannot integrate stays as it is, and is computed on the grid
        value = sp.Integral(value, (c, low, high)) if found.has(sp.Integral) else found
    return value


def exact(value: Any) -> sp.Expr:
    """A position as a user would write it, 1/2 or 2*pi, where a float means that; sines of it are then exact."""
    if not isinstance(value, float | int | np.floating | sp.Float):
        return value
    for unit, symbol in ((1.0, sp.S.One), (float(np.pi), sp.pi)):
        near = Fraction(float(value) / unit).limit_denominator(1000)
        if abs(float(near) * unit - float(value)) <= 4e-16 * abs(float(value)):
            return sp.Rational(near.numerator, near.denominator) * symbol
    return sp.Float(float(value))


_READABLE = 300  # operations; simplifying more takes long and makes nothing shorter


def shorter(e: sp.Expr) -> sp.Expr:
    """The shortest of a few forms of an expression. Sums over components stay as they are: their parts are shared."""
    if e.has(sp.Sum, Dot):
        return e
    forms = [e, sp.expand(e)]
    if sp.count_ops(e) <= _READABLE:
        forms += [sp.simplify(e), sp.factor_terms(forms[1])]
    return min(forms, key=lambda form: (form.has(sp.Subs, sp.Derivative), sp.count_ops(form)))


def on_surface(e: sp.Expr, region: Any) -> sp.Expr:
    """An expression on the surface of a region: 0 where it is the factor that vanishes on a sphere, else as it is."""
    radius = getattr(region, "radius", None)
    if radius is None or e.is_number:
        return e
    X = region.coordinates[0]
    if not X.declaration.shape:
        return sp.S.Zero if _zero_on_sphere(e, region) else e
    centered = not region.center

    def is_square(n: Any) -> bool:
        if not centered:
            return False
        if isinstance(n, sp.Sum):
            i, low, high = n.limits[0]
            return len(n.limits) == 1 and n.function == X[i] ** 2 and (low, high) == (0, X.dim - 1)
        return isinstance(n, Dot) and n.args == (X, X)

    squares = {n: exact(radius) ** 2 for n in distinct_nodes(e) if is_square(n)}
    return sp.S.Zero if e.xreplace(squares) == 0 else e


def _zero_on_sphere(e: sp.Expr, ball: Any) -> bool:
    """Whether an expression vanishes at a few points of the surface of a ball."""
    rng = np.random.default_rng(0)
    for _ in range(4):
        ray = rng.normal(size=len(ball.coordinates))
        ray *= ball.radius / np.linalg.norm(ray)
        here = {c: sp.Float(m + r) for c, m, r in zip(ball.coordinates, ball.center, ray, strict=True)}
        point = {**{s: sp.Float(rng.uniform(0.5, 1.5)) for s in sorted(e.free_symbols, key=str)}, **here}
        try:
            if abs(complex(e.subs(point).evalf())) > 1e-12:
                return False
        except (TypeError, ValueError):
            return False  # measured inputs or networks: nothing to compute here
    return True


def periodic_in(e: sp.Expr, c: Coordinate) -> bool:
    """Whether the values at both ends agree, at a few values of everything else."""
    low, high = (exact(c.declaration.payload[k]) for k in ("low", "high"))
    gap = e.subs(c, high) - e.subs(c, low)
    for seed in (0.37, 0.71):
        others = {n: sp.Float(seed + 0.11 * i) for i, n in enumerate(sorted((n for n in gap.free_symbols), key=str))}
        try:
            size = abs(complex(gap.subs(others))) / (1 + abs(complex(e.subs(c, low).subs(others))))
        except (TypeError, ValueError):
            return True  # measured inputs or networks: nothing to compute here
        if size > 1e-9:
            return False
    return True


def _time_order(system: System, symbol: Applied) -> int:
    """The highest derivative by time of an unknown in the equations."""
    return max(
        (
            int(count)
            for e in system.equations
            for n in distinct_nodes(e.lhs, e.rhs)
            if isinstance(n, sp.Derivative) and n.expr == symbol
            for variable, count in n.variable_count
            if variable == t
        ),
        default=0,
    )


def _cure(name: str, system: System) -> str:
    if name in system.symbols:
        right = "sci.t" if name == "t" else f"the symbol that was declared as '{name}'"
        return f"It prints like {right}: write that one."
    return f'Declare it, {name} = sci.parameters("{name}", 1.0), or write its value.'
