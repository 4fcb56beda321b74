"""What the noise of a System looks like, and the same System read in the other calculus.

dX = f dt + G dW. The kinds, each contained in the next:

| kind        | meaning                                                                      |
|-------------|------------------------------------------------------------------------------|
| none        | no noise                                                                     |
| additive    | G does not depend on the unknowns                                            |
| diagonal    | each noise drives one unknown, which no other noise does, through g_i(t, x_i) |
| commutative | (dg_l/dx) g_j = (dg_j/dx) g_l for all columns                                |
| general     | anything else                                                                |

Reference: Kloeden and Platen, Numerical Solution of Stochastic Differential Equations (1992), chapter 10.3.
"""

import dataclasses

import sympy as sp

from ..errors import CompileError
from ..symbols import Applied, Component, Dot, declaration_of
from ..system import Equation, System, text
from .constraints import determined


@dataclasses.dataclass(frozen=True)
class NoiseForm:
    """`drift[i]` and `diffusion[i][noise]` of each unknown, and the kind of noise."""

    unknowns: tuple[Applied, ...]
    noises: tuple[Applied, ...]
    drift: tuple[sp.Expr, ...]
    diffusion: tuple[dict[Applied, sp.Expr], ...]
    kind: str


def noises_of(system: System) -> tuple[Applied, ...]:
    """The white noises that drive some equation, in order of appearance."""
    return tuple(s for s in system.symbols.values() if declaration_of(s).kind == "noise" and any(e.rhs.has(s) for e in system.equations))


def noise_form(system: System) -> NoiseForm:
    """Splits explicit first-order equations x' = f + G*xi into drift and diffusion, and names the kind of noise."""
    noises = noises_of(system)
    unknowns = tuple(determined(e) for e in system.equations)
    _noise_free_definitions(system, noises)
    drift, diffusion = [], []
    for e in system.equations:
        f, g = _split(e.rhs, noises)
        drift.append(f)
        diffusion.append(g)
    rows = tuple(diffusion)
    return NoiseForm(unknowns, noises, tuple(drift), rows, _kind(system, unknowns, noises, rows))


def _split(rhs: sp.Expr, noises: tuple[Applied, ...]) -> tuple[sp.Expr, dict[Applied, sp.Expr]]:
    if not rhs.has(*noises) if noises else True:
        return rhs, {}
    stand_ins = {n: sp.Dummy(real=True) for n in noises}
    expression = rhs.xreplace(stand_ins)
    coefficients = {n: expression.diff(symbol) for n, symbol in stand_ins.items()}
    drift = expression.xreplace({symbol: sp.S.Zero for symbol in stand_ins.values()})
    return drift, {n: c for n, c in coefficients.items() if c != 0}


def _noise_free_definitions(system: System, noises: tuple[Applied, ...]) -> None:
    for u, definition in system.eliminated.items():
        if noises and definition.has(*noises):
            name = declaration_of(u).name
            raise CompileError(f"'{name}' = `{text(definition)}` holds white noise, which has no value at a point of time. Give {name} a derivative.")


def _kind(system: System, unknowns: tuple, noises: tuple, rows: tuple[dict, ...]) -> str:
    if not noises:
        return "none"
    rows = tuple({n: _inlined(system, c) for n, c in row.items()} for row in rows)
    if not any(c.has(*unknowns) for row in rows for c in row.values()):
        return "additive"
    if _is_diagonal(unknowns, noises, rows):
        return "diagonal"
    if any(declaration_of(s).shape for s in (*unknowns, *noises)):
        return "general"
    return "commutative" if _commutes(unknowns, noises, rows) else "general"


def _inlined(system: System, expression: sp.Expr) -> sp.Expr:
    """With eliminated unknowns written out, so that dependence on the state is seen."""
    pending = dict(system.eliminated)
    while pending and expression.has(*pending):
        expression = expression.xreplace(pending)
    return expression


def _is_diagonal(unknowns: tuple, noises: tuple, rows: tuple[dict, ...]) -> bool:
    used = [n for row in rows for n in row]
    if len(used) != len(set(used)) or any(len(row) > 1 for row in rows):
        return False
    for u, row in zip(unknowns, rows, strict=True):
        for n, c in row.items():
            others = [v for v in unknowns if v != u]
            if (others and c.has(*others)) or declaration_of(n).shape != declaration_of(u).shape or _mixes_components(c):
                return False
    return True


def _mixes_components(expression: sp.Expr) -> bool:
    """Whether an entry of the result may hold another entry of an array: a network of an array gives what it likes."""
    networks = (g for g in expression.atoms(Applied) if declaration_of(g).kind == "neural")
    return expression.has(Component, Dot) or any(declaration_of(a) is not None and declaration_of(a).shape for g in networks for a in g.args)


def _commutes(unknowns: tuple, noises: tuple, rows: tuple[dict, ...]) -> bool:
    plain = {u: sp.Dummy(real=True) for u in unknowns}
    g = [[row.get(n, sp.S.Zero).xreplace(plain) for n in noises] for row in rows]
    states = list(plain.values())
    for j in range(len(noises)):
        for k in range(j):
            for i in range(len(states)):
                bracket = sum((g[m][j] * g[i][k].diff(x) - g[m][k] * g[i][j].diff(x) for m, x in enumerate(states)), sp.S.Zero)
                if bracket != 0 and sp.simplify(bracket) != 0:
                    return False
    return True


def to_calculus(system: System, calculus: str) -> System:
    """The same process written in the other calculus: the drift changes by half of sum_j (dg_j/dx) g_j.

    Takes explicit first-order equations. Additive noise reads the same in both.
    """
    if calculus == system.calculus:
        return system
    form = noise_form(system)
    if form.kind in ("none", "additive"):
        return system.derive(calculus=calculus)
    sign = -1 if calculus == "stratonovich" else 1
    rows = [{n: _inlined(system, c) for n, c in row.items()} for row in form.diffusion]
    equations = tuple(Equation(e.lhs, e.rhs + sp.Rational(sign, 2) * _correction(form, rows, i), e.where) for i, e in enumerate(system.equations))
    return system.derive(equations=equations, calculus=calculus)


def _correction(form: NoiseForm, rows: list[dict], i: int) -> sp.Expr:
    """sum over noises j and unknowns m of g_mj * d g_ij / d x_m."""
    if any(declaration_of(s).shape for s in (*form.unknowns, *form.noises)) and form.kind != "diagonal":
        raise CompileError(
            "Array-valued noise that is neither additive nor diagonal cannot be converted to the other calculus. "
            'Choose a solver of the calculus that the System is written in, such as solver="euler" for Ito.'
        )
    total = sp.S.Zero
    for n, g_in in rows[i].items():
        for m, u in enumerate(form.unknowns):
            g_mn = rows[m].get(n)
            if g_mn is None or not g_in.has(u):
                continue
            symbol = sp.Dummy(real=True)
            total += g_mn * g_in.xreplace({u: symbol}).diff(symbol).xreplace({symbol: u})
    return total


def ito_chain_rule(system: System) -> None:
    """In Ito's calculus (x**2).diff(t) is not 2*x*x': a derivative with a state-dependent factor and noise is refused."""
    noises = [s for s in system.symbols.values() if declaration_of(s).kind == "noise"]
    if system.calculus != "ito" or not noises:
        return
    residuals = [(e, e.residual) for e in system.equations]
    driven = [r for _, r in residuals if r.has(*noises)]
    noisy = {d.expr for r in driven for d in r.atoms(sp.Derivative)}
    for e, residual in residuals:
        for d in residual.atoms(sp.Derivative):
            factor = residual.coeff(d)
            if d.expr in noisy and factor.has(*noisy) and d.derivative_count == 1 and isinstance(d.expr, Applied):
                raise CompileError(
                    f"{e.cited} multiplies {text(d)} by `{text(factor)}`. With noise, Ito's calculus has no such chain rule "
                    f"((x**2)' is not 2*x*x'). Write the equation for {text(d)} itself, or use System(..., calculus=\"stratonovich\")."
                )
