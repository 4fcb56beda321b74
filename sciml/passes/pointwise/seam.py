"""Initial values whose slope jumps where a periodic coordinate begins again.

A smooth network cannot have the kink, and u at later times has none: diffusion smooths it at once. So u begins with u0 and the
solution of the heat equation for its kink. With the ends a and b of x, L = b - a, the time T between t0 and t1, and

    J = u0'(a) - u0'(b)                          the jump of the slope
    w = 2 sqrt(D (t - t0))                       how wide the kink has become
    f(s) = w/sqrt(pi) exp(-(s/w)^2) - s erfc(s/w)

    g = u0 + J/2 (f(x - a) + f(b - x)) + J/2 erfc(L/w) (x - a)(x - b)/L

| part                 | what it does                                                                             |
|----------------------|------------------------------------------------------------------------------------------|
| f(x - a), f(b - x)   | f_t = D f_ss, f_s = -1 at the seam: each side loses its half of the jump; 0 at the start  |
| the last one         | what each f leaves at the other end, erfc(L/w): nothing until w is some tenths of L       |

g(t, .) has a continuous slope at the seam for all t > t0, and g_t - D g_xx = -D u0'' as long as erfc(L/w) is nothing. Where u0''
jumps too, g_xx does: the network has to make up for that, as for all else that the heat equation of the kink leaves out.

t - t0 stands as sqrt((t - t0)^2 + (1e-8 T)^2), which has derivatives at the start in single precision, too. The error at the
start is J sqrt(D T) 6e-5 at the seam itself, and nothing further away than sqrt(D T) 1e-3. As the mean of -D u0'' is D J/L, the
network has to grow with D J T/L: for D T far above L^2 leave the condition to the loss.

Carslaw and Jaeger 1959, Conduction of Heat in Solids, chapter 2 (the functions ierfc).
"""

import dataclasses

import sympy as sp

from ...symbols import Applied, Coordinate, declaration_of, distinct_nodes, t
from ...system import System
from ..discretize.manufacture import exact, periodic_in
from .conditions import Condition, pinned
from .form import Partial
from .ierfc import Ierfc
from .reader import Reader

_TINY = sp.Rational(1, 10**8)  # of the time between start and end


@dataclasses.dataclass(frozen=True, eq=False)
class Kink:
    """A jump of the slope of an initial value at the seam of a periodic coordinate, and the diffusion that smooths it.

    Attributes:
        x: the coordinate.
        jump: the slope at its low end less that at its high end.
        diffusion: D in u_t = D u_xx + ...: a number, or an expression of parameters and constants.
    """

    x: Coordinate
    jump: sp.Expr
    diffusion: sp.Expr

    def smoothed(self, start: sp.Expr, end: sp.Expr) -> sp.Expr:
        """What the initial value is to be given besides, of t and x."""
        low, high = _ends(self.x)
        elapsed = sp.sqrt(((t - start) / (end - start)) ** 2 + _TINY**2)
        width = 2 * sp.sqrt(sp.Abs(self.diffusion)) * sp.sqrt(end - start) * sp.sqrt(elapsed)
        sides = sum(_spread(s, width) for s in (self.x - low, high - self.x))
        rest = _near(high - low, width, sp.erfc((high - low) / width)) * (self.x - low) * (self.x - high) / (high - low)
        return self.jump.subs(t, start) / 2 * (sides + rest)

    @property
    def text(self) -> str:
        """How a condition with it is built in."""
        return f", its kink at the seam of {self.x.name} smoothed by diffusion"


def _spread(s: sp.Expr, width: sp.Expr) -> sp.Expr:
    return _near(s, width, width * Ierfc(s / width))


def _near(s: sp.Expr, width: sp.Expr, e: sp.Expr) -> sp.Expr:
    """An expression that is nothing at ten widths: there powers of the distance in its derivatives would overflow at the start."""
    return sp.Piecewise((e, s < 10 * width), (0, True))


def _ends(x: Coordinate) -> tuple[sp.Expr, sp.Expr]:
    return exact(x.declaration.payload["low"]), exact(x.declaration.payload["high"])


def jumps(system: System, reader: Reader, value: sp.Expr, x: Coordinate) -> tuple[int, ...]:
    """Orders of the derivatives of a value, of those that the equations see, that jump where a periodic coordinate begins again."""
    if x == t or not x.declaration.payload["periodic"]:
        return ()
    return tuple(k for k in range(_highest(system, reader, x) + 1) if not periodic_in(value.diff((x, k)), x))


def _highest(system: System, reader: Reader, x: Coordinate) -> int:
    written = (reader.written_out(e.residual, {}, e.cited) for e in system.equations if pinned(system, e) is None)
    orders = [dict(n.variable_count).get(x, 0) for e in written for n in distinct_nodes(e) if isinstance(n, sp.Derivative)]
    return max(map(int, orders), default=0)


def kink_of(system: System, reader: Reader, c: Condition, value: sp.Expr, x: Coordinate) -> Kink | None:
    """The kink of an initial value at the seam of x, if its slope jumps, not the value itself, and diffusion smooths it."""
    orders = jumps(system, reader, value, x)
    if c.kind != "initial" or c.order or 0 in orders or 1 not in orders or x.declaration.shape:
        return None
    if value.diff(x, 2).has(sp.DiracDelta, sp.Subs, sp.Derivative):
        return None
    diffusion = _diffusion(system, reader, c.fields[0], x)
    if diffusion is None:
        return None
    low, high = _ends(x)
    slope = value.diff(x)
    return Kink(x, slope.subs(x, low) - slope.subs(x, high), diffusion)


def _diffusion(system: System, reader: Reader, name: str, x: Coordinate) -> sp.Expr | None:
    """D, if one equation reads u_t = D u_xx + (nothing of second order in x), and no other one has u_t or u_xx."""
    found: list[sp.Expr | None] = []
    for e in system.equations:
        if pinned(system, e) is not None:
            continue
        residual = reader.read(e.residual, {}, e.cited)
        operators = [reader.placeholders.operators[key] for key in reader.placeholders.used(residual)]
        partial = [o for o in operators if isinstance(o, Partial)]
        rates = [o for o in partial if o.of == name and "t" in dict(o.orders)]
        high = [o for o in partial if dict(o.orders).get(x.name, 0) >= 2]
        rate, second = Partial(name, (("t", 1),)), Partial(name, ((x.name, 2),))
        if rates == [rate] and high == [second]:
            found.append(_ratio(residual, reader.placeholders.of(rate), reader.placeholders.of(second)))
        elif rates or any(o.of == name for o in high):
            return None
    return found[0] if len(found) == 1 else None


def _ratio(residual: sp.Expr, rate: sp.Dummy, second: sp.Dummy) -> sp.Expr | None:
    """D of a residual c (u_t - D u_xx) + ..., if both factors are the same everywhere and D is positive."""
    factors = [sp.expand(residual.diff(s)) for s in (rate, second)]
    if not all(f != 0 and _is_constant(f) for f in factors):
        return None
    ratio = -factors[1] / factors[0]
    ratio = ratio.xreplace({n: sp.Rational(repr(float(n))) for n in ratio.atoms(sp.Float)})
    return ratio if _positive(ratio) else None


def _is_constant(e: sp.Expr) -> bool:
    """Whether an expression is one of numbers, and of parameters and constants that are numbers."""
    if any(isinstance(n, Applied | sp.Derivative) for n in distinct_nodes(e)):
        return False
    known = [declaration_of(s) for s in e.free_symbols]
    return all(d is not None and d.kind in ("parameter", "constant") and not d.over and not d.shape for d in known)


def _positive(e: sp.Expr) -> bool:
    """Whether a number is positive; with the declared values of parameters, where all have one."""
    while e.free_symbols:
        values = {s: declaration_of(s).value for s in e.free_symbols}
        if any(v is None for v in values.values()):
            return True
        e = e.subs(values)
    return bool(e.is_positive)
