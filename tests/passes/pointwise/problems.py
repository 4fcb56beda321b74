"""Named problems, each with functions to put in place of its fields, and residuals taken by SymPy without the pass."""

import dataclasses

import sympy as sp

import sciml as sci
from sciml.passes import Combination, Partial, Pointwise, placeholder
from sciml.symbols import At, D

t = sci.t
x, y = sci.space("x", -1, 1), sci.space("y", 0, 2)
p = sci.space("p", -1, 1, periodic=True)
nu, c = sci.parameters("nu c", [0.01, 2.0])


@dataclasses.dataclass
class Problem:
    """A System and a formula for each of its fields."""

    system: sci.System
    formulas: dict


def _wave(*over):
    """A formula of some coordinates that no derivative kills."""
    phase = sum((k + 2) * s / sp.Integer(3) for k, s in enumerate(over))
    return sp.sin(phase) + sp.exp(sp.Rational(1, 4) * sum(over)) * over[-1] ** 2


def closed(fields, value=0, sides=(x, y)):
    """A condition u = value at all sides."""
    return {side: [sci.eq(u, value) for u in fields] for s in sides for side in (s.left, s.right)}


def burgers():
    u = sci.fields("u", t, x)
    equation = sci.eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2))
    return Problem(sci.System([equation], initial={u: -sp.sin(sp.pi * x)}, boundary=closed([u], sides=(x,))), {u: _wave(t, x)})


def allen_cahn():
    u = sci.fields("u", t, p, initial=p**2 * sp.cos(sp.pi * p))
    return Problem(sci.System([sci.eq(u.diff(t), 1e-4 * u.diff(p, 2) + 5 * u - 5 * u**3)]), {u: _wave(t, p)})


def korteweg_de_vries():
    u = sci.fields("u", t, p)
    return Problem(sci.System([sci.eq(u.diff(t) + u * u.diff(p) + c * u.diff(p, 3), 0)], initial={u: sp.cos(sp.pi * p)}), {u: _wave(t, p)})


def heat():
    u = sci.fields("u", t, x, y)
    k = sci.parameters("k", 1 + x * y / 4, over=(x, y))
    equation = sci.eq(u.diff(t), sci.div([k * g for g in sci.grad(u)]))
    sides = {x.left: sci.eq(u, 0), x.right: sci.eq(u.diff(x), c * (1 - u)), y.left: sci.eq(k * u.diff(y), t), y.right: sci.eq(u, sp.sin(x))}
    return Problem(sci.System([equation], initial={u: 0}, boundary=sides), {u: _wave(t, x, y)})


def wave():
    u = sci.fields("u", t, x)
    system = sci.System([sci.eq(u.diff(t, 2), c**2 * u.diff(x, 2))], initial={u: sp.sin(x), "u'": 0}, boundary=closed([u], sides=(x,)))
    return Problem(system, {u: _wave(t, x)})


def cavity():
    u, v, q = sci.fields("u v q", x, y)
    flow = [
        sci.eq(u * u.diff(x) + v * u.diff(y), -q.diff(x) + nu * sci.laplacian(u)),
        sci.eq(u * v.diff(x) + v * v.diff(y), -q.diff(y) + nu * sci.laplacian(v)),
        sci.eq(sci.div((u, v)), 0),
        sci.eq(sci.at(sci.at(q, x, -1), y, 0), 0),
    ]
    lid = {**closed([u, v]), y.right: [sci.eq(u, 1 - x**2), sci.eq(v, 0)]}
    return Problem(sci.System(flow, boundary=lid), {u: _wave(x, y), v: _wave(y, x), q: sp.cos(x + 2 * y)})


def kadomtsev_petviashvili():
    r = sci.space("r", 0, 1, periodic=True)
    u = sci.fields("u", t, p, r)
    equation = sci.eq(u.diff(t, p) + 6 * sci.D(u * u.diff(p), p) + u.diff(p, 4) + 3 * u.diff(r, 2), 0)
    return Problem(sci.System([equation], initial={u: sp.sin(sp.pi * p)}), {u: _wave(t, p, r)})


def plate():
    u = sci.fields("u", x, y)
    load = sp.sin(x) * sp.sin(y)
    sides = {side: [sci.eq(u, 0), sci.eq(u.diff(s, 2), 0)] for s in (x, y) for side in (s.left, s.right)}
    return Problem(sci.System([sci.eq(sci.laplacian(sci.laplacian(u)), load / c)], boundary=sides), {u: _wave(x, y)})


def schroedinger():
    h = sci.fields("h", t, p, real=False)
    system = sci.System([sci.eq(sp.I * h.diff(t) + h.diff(p, 2) / 2 + sp.conjugate(h) * h * h, 0)], initial={h: 2 / sp.cosh(p)})
    return Problem(system, {})


SCALAR = [burgers, allen_cahn, korteweg_de_vries, heat, wave, cavity, kadomtsev_petviashvili, plate]


# -- residuals without the pass -------------------------------------------------------------------


def by_hand(expression, formulas):
    """An expression with formulas in place of fields, all derivatives by SymPy."""
    plain = expression.replace(D, lambda f, s, *_: sp.Derivative(f, s)).replace(At, lambda f, s, v: sp.Subs(f, s, v))
    known = {n: n.declaration.value for n in plain.atoms(sp.Function) if getattr(getattr(n, "declaration", None), "over", ()) and n not in formulas}
    return plain.xreplace(known).xreplace(formulas).doit()


def put_in(form: Pointwise, residual, formulas, operators=None):
    """A residual in placeholders with formulas in place of fields."""
    operators = form.operators if operators is None else operators
    back = {placeholder(n): {"t": t, **form.system.coordinates}[n] for n in form.coordinates}
    named = {u.declaration.name: f for u, f in formulas.items()}
    values = {placeholder(key): value_of(o, named, form).xreplace(back) for key, o in operators.items() if o.of in named}
    return residual.xreplace({**back, **values})


def value_of(operator, named, form):
    """The value of an operator on a formula."""
    where = {"t": t, **form.system.coordinates}
    if isinstance(operator, Partial):
        return _partial(named[operator.of], operator.orders, where)
    if isinstance(operator, Combination):
        return sum(w * _partial(named[operator.of], orders, where) for orders, w in operator.parts)
    raise TypeError(operator)


def _partial(of, orders, where):
    return of.diff(*((where[n], k) for n, k in orders)) if orders else of


def same(a, b, seed=0):
    """Whether two expressions agree at random points."""
    gap, size = sp.sympify(a - b), 1 + abs(sp.sympify(a))
    symbols = sorted(gap.free_symbols | size.free_symbols, key=str)
    for k in range(3):
        at = {s: sp.Float(0.3 + 0.4 * ((7 * (i + 1) * (k + 2 + seed)) % 11) / 11) for i, s in enumerate(symbols)}
        if abs(complex(gap.subs(at).evalf())) > 1e-9 * abs(complex(size.subs(at).evalf())):
            return False
    return True
