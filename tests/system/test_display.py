"""How Systems are written out."""

import equinox as eqx
import jax

import sciml as sci


def test_functions_of_one_network_are_numbered():
    x, y = sci.variables("x y", initial=1.0)
    g1, g2 = sci.neural("g", eqx.nn.Linear(2, 2, key=jax.random.key(0)), outputs=2)(x, y)
    system = sci.System([sci.eq(x.diff(sci.t), g1), sci.eq(y.diff(sci.t), x - g2**2)])
    assert "x' = g_1(x, y)" in str(system) and "g_2(x, y)**2" in str(system)
    assert r"g_{1}{\left(x,y \right)}" in system.latex() and r"{g_{2}{\left(x,y \right)}}^{2}" in system.latex()
