"""Order reduction: x'' becomes an unknown x' with its own equation."""

import sympy as sp

from ..errors import CompileError
from ..symbols import Applied, declaration_of, derivative_unknown, t
from ..system import Equation, System, highest_orders


def first_order(system: System) -> System:
    """Rewrites every equation in first derivatives. `x''` brings the unknown `x'` (that is its name) and `dx/dt = x'`.

    >>> import sciml as sci
    >>> x = sci.variables("x", initial=1.0)
    >>> first_order(sci.System([sci.eq(x.diff(sci.t, 2), -x)], name="spring"))
    System 'spring'
      x'' = -x
      x' = x'
    """
    higher = {u: n for u, n in highest_orders(system.equations).items() if n > 1}
    if not higher:
        return system
    replaced: dict[sp.Basic, sp.Basic] = {}
    added = []
    for u, n in higher.items():
        _refuse_clash(system, u)
        chain = [u]
        for k in range(1, n):
            chain.append(derivative_unknown(chain[-1], system.units.get("t")))
            replaced[u.diff((t, k))] = chain[-1]
            added.append(Equation(chain[-2].diff(t), chain[-1]))
        replaced[u.diff((t, n))] = chain[-1].diff(t)
    rewrite = lambda side: side.xreplace(replaced)  # noqa: E731
    return system.derive(
        equations=(*(e.map(rewrite) for e in system.equations), *added),
        observed={k: rewrite(v) for k, v in system.observed.items()},
    )


def _refuse_clash(system: System, u: Applied) -> None:
    name = declaration_of(u).name + "'"
    if name in system.symbols:
        raise CompileError(f"The rate of '{name[:-1]}' needs the name {name}, which is taken. Rename that symbol.")
