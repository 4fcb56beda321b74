"""Small systems that the tests of this room share, so that each is compiled once per file."""

import functools

import sympy as sp

import sciml as sci

t = sci.t
x, y = sci.variables("x y", initial=[10.0, 5.0])
k = sci.parameters("k", 0.5)


@functools.cache
def decay() -> sci.System:
    """x = x0 * exp(-k*t)."""
    return sci.System([sci.eq(x.diff(t), -k * x)], observed={"double": 2 * x}, name="decay", initial={x: 2.0})


@functools.cache
def lotka_volterra() -> sci.System:
    a, b, c, d = sci.parameters("a b c d", [1.1, 0.4, 0.4, 0.1])
    return sci.System(
        [sci.eq(x.diff(t), a * x - b * x * y), sci.eq(y.diff(t), d * x * y - c * y)],
        observed={"total": x + y, "share": x / (x + y)},
        name="lotka_volterra",
    )


@functools.cache
def oscillator() -> sci.System:
    """q = cos(w*t) for q(0) = 1, q'(0) = 0."""
    q = sci.variables("q", initial=1.0)
    w = sci.parameters("w", 2.0)
    return sci.System([sci.eq(q.diff(t, 2), -(w**2) * q)], initial={q.diff(t): 0.0}, name="oscillator")


@functools.cache
def ornstein_uhlenbeck() -> sci.System:
    """Mean m + (x0 - m)*exp(-r*t), variance s**2/(2*r) * (1 - exp(-2*r*t))."""
    z = sci.variables("z", initial=2.0)
    r, m, s = sci.parameters("r m s", [1.5, 0.5, 0.8])
    xi = sci.white_noise("xi")
    return sci.System([sci.eq(z.diff(t), r * (m - z) + s * xi)], name="ornstein_uhlenbeck")


@functools.cache
def geometric(calculus: str = "ito") -> sci.System:
    """In Ito's calculus x = exp((mu - s**2/2)*t + s*W), in Stratonovich's exp(mu*t + s*W)."""
    z = sci.variables("z", initial=1.0)
    mu, s = sci.parameters("mu s", [0.5, 0.6])
    xi = sci.white_noise("xi")
    return sci.System([sci.eq(z.diff(t), mu * z + s * z * xi)], name="geometric", calculus=calculus)


@functools.cache
def forced() -> sci.System:
    """x' = sin(t) has x = 1 - cos(t)."""
    z = sci.variables("z", initial=0.0)
    return sci.System([sci.eq(z.diff(t), sp.sin(t))], name="forced")
