"""Functions of a vector of three numbers, near (0.3, 0.6, 0.2): what programs are made of."""

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
from jax import lax

from sciml.pinn.taylor import directional, nested

A = np.array([[3.0, 0.4, 0.1], [0.4, 2.0, 0.3], [0.1, 0.3, 4.0]])


def matrix(x):
    """Symmetric, positive definite, with distinct eigenvalues."""
    return A + jnp.outer(x, x) + jnp.diag(jnp.sin(x))


@jax.custom_jvp
def tripled(x):
    return x**3


tripled.defjvp(lambda x, t: (tripled(x[0]), 3 * x[0] ** 2 * t[0]))


@jax.custom_vjp
def reversed_only(x):
    return jnp.sin(x)


reversed_only.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.cos(x) * g,))


def scanned(x):
    def step(c, w):
        c = jnp.tanh(c * w + x)
        return c, c * w

    last, seen = lax.scan(step, jnp.ones(3), jnp.arange(1.0, 4.0) * jnp.ones(3))
    return last + jnp.sum(seen, axis=0)


def scanned_over(x):
    return lax.scan(lambda c, w: (c * w + jnp.sin(c), c), jnp.array(1.0), x, reverse=True)[1]


def looped(x):
    return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * x + jnp.sin(s[1])), (0, jnp.ones(3)))[1]


def branched(x):
    return lax.cond(x[0] > 0, lambda y: jnp.sin(y) * y, lambda y: jnp.zeros(3), x)


def switched(x):
    return lax.switch(jnp.argmax(x), [jnp.exp, jnp.cos, lambda y: y], x)


def convolved(x):
    return jnp.convolve(x, x * jnp.array([1.0, -2.0, 0.5]))


ELEMENTWISE = {
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "log": jnp.log,
    "log1p": jnp.log1p,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": jnp.tan,
    "asin": jnp.arcsin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "tanh": jnp.tanh,
    "asinh": jnp.arcsinh,
    "acosh": lambda x: jnp.arccosh(x + 1.5),
    "atanh": jnp.arctanh,
    "sqrt": jnp.sqrt,
    "rsqrt": lax.rsqrt,
    "cbrt": jnp.cbrt,
    "square": jnp.square,
    "reciprocal": jnp.reciprocal,
    "integer_pow": lambda x: x**3 + x**-2,
    "power of a number": lambda x: x**2.5 + x**3.0,
    "power of a function": lambda x: x ** jnp.sin(x),
    "number to a power": lambda x: 2.0**x,
    "division": lambda x: jnp.sin(x) / (1 + x) + 1 / x,
    "atan2": lambda x: jnp.arctan2(jnp.sin(x), x + 1),
    "hypot": lambda x: jnp.hypot(x, 1 + x * x),
    "logistic": jax.nn.sigmoid,
    "erf": jsp.erf,
    "erfc": jsp.erfc,
    "erf_inv": jsp.erfinv,
    "lgamma": jsp.gammaln,
    "digamma": jsp.digamma,
    "i0e": jsp.i0e,
    "i1e": jsp.i1e,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "logaddexp": lambda x: jnp.logaddexp(x, jnp.sin(x)),
    "sinc": jnp.sinc,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "leaky_relu": lambda x: jax.nn.leaky_relu(x - 0.25),
    "custom_jvp": tripled,
    "custom_vjp": reversed_only,
    "clip": lambda x: jnp.clip(x, 0.25, 0.5) * x,
    "abs": lambda x: jnp.abs(x - 0.25) * x,
    "max": lambda x: jnp.maximum(x * x, 0.1) * jnp.minimum(x, 0.4),
    "where": lambda x: jnp.where(x > 0.25, jnp.sin(x), jnp.exp(x)),
    "remainder": lambda x: jnp.remainder(5 * x * x, 0.7) * x,
    "sign and floor": lambda x: jnp.sign(x - 0.25) * x * jnp.floor(10 * x) * lax.stop_gradient(x),
    "interp": lambda x: jnp.interp(x * x, jnp.array([0.0, 0.1, 0.5, 1.0]), jnp.array([0.0, 2.0, 1.0, 3.0])) * x,
}

OTHERS = {
    "sum and prod": lambda x: jnp.sum(x**3) * jnp.prod(jnp.sin(x)),
    "cumsum": lambda x: jnp.cumsum(x**3),
    "cumprod": lambda x: jnp.cumprod(jnp.sin(x)),
    "logsumexp": lambda x: jax.nn.logsumexp(x * x),
    "cumlogsumexp": lambda x: lax.cumlogsumexp(x * x),
    "softmax": lambda x: jax.nn.softmax(x * x),
    "largest": lambda x: jnp.max(x * x) * jnp.min(x) * x,
    "cummax": lambda x: lax.cummax(x * x),
    "sort": lambda x: jnp.sort(x * x) * x,
    "argsort": lambda x: (x * x)[jnp.argsort(x)],
    "top_k": lambda x: lax.top_k(x**3, 2)[0],
    "median": lambda x: jnp.median(x**3),
    "norm": lambda x: jnp.linalg.norm(x),
    "variance": lambda x: jnp.var(x * x),
    "scatter set": lambda x: jnp.zeros(5).at[jnp.array([0, 2, 4])].set(x**3),
    "scatter add": lambda x: jnp.ones(3).at[jnp.array([0, 2, 0])].add(x**3) * x,
    "scatter mul": lambda x: jnp.ones(3).at[jnp.array([0, 2, 1])].multiply(jnp.sin(x), unique_indices=True),
    "gather": lambda x: (x**3)[jnp.array([2, 0, 0, 1])],
    "dynamic slice": lambda x: lax.dynamic_slice(x**3, (1,), (2,)),
    "dynamic update": lambda x: lax.dynamic_update_slice(x**3, jnp.sin(x[:2]), (1,)),
    "shapes": lambda x: jnp.pad(jnp.concatenate([x**3, x[::-1]]).reshape(2, 3).T, 1)[:, None].squeeze(1),
    "stack and split": lambda x: jnp.split(jnp.stack([x**3, jnp.sin(x)]), 2)[1][0],
    "roll": lambda x: jnp.roll(x**3, 1) * x,
    "tile": lambda x: jnp.tile(x**2, (2, 2)),
    "square of a matrix": lambda x: (lambda m: m @ m)(matrix(x)),
    "outer and trace": lambda x: jnp.trace(jnp.outer(x, jnp.sin(x)) @ jnp.outer(x * x, x)),
    "einsum": lambda x: jnp.einsum("i,ij,j->", x, matrix(x), jnp.sin(x)),
    "attention": lambda x: jax.nn.softmax(jnp.outer(x, x)) @ jnp.outer(x, jnp.cos(x)),
    "convolve": convolved,
    "fft": lambda x: jnp.abs(jnp.fft.fft(x**3)) ** 2,
    "rfft": lambda x: jnp.fft.irfft(jnp.fft.rfft(x**3, 4) ** 2, 4),
    "complex": lambda x: (lambda z: jnp.real(jnp.exp((0.3 + 2j) * z) / (z + 1j)))(lax.complex(x, x**2)),
    "complex modulus": lambda x: jnp.abs(lax.complex(x, x**2)) + jnp.angle(lax.complex(x, x * 2)),
    "solve": lambda x: jnp.linalg.solve(matrix(x), x),
    "inv": lambda x: jnp.linalg.inv(matrix(x)),
    "det": lambda x: jnp.linalg.slogdet(matrix(x))[1],
    "cholesky": lambda x: jnp.linalg.cholesky(matrix(x)),
    "eigh": lambda x: jnp.linalg.eigh(matrix(x))[0],
    "qr": lambda x: jnp.abs(jnp.linalg.qr(matrix(x))[1]),
    "svd": lambda x: jnp.linalg.svd(matrix(x), compute_uv=False),
    "triangular solve": lambda x: jax.scipy.linalg.solve_triangular(matrix(x), x, lower=True),
    "expm": lambda x: jax.scipy.linalg.expm(jnp.outer(x, x)),
    "scan": scanned,
    "scan over x": scanned_over,
    "fori_loop": lambda x: lax.fori_loop(0, 3, lambda i, c: c * x + jnp.sin(c), x),
    "while_loop": looped,
    "cond": branched,
    "switch": switched,
    "remat": jax.checkpoint(lambda x: jnp.sin(x) * jnp.exp(x)),
    "jit": jax.jit(lambda x: jnp.sin(x) * jnp.exp(x)),
    "vmap": lambda x: jax.vmap(lambda a: a * jnp.sin(x))(x),
    "jvp": lambda x: jax.jvp(jnp.tanh, (x,), (x,))[1],
    "grad": jax.grad(lambda x: jnp.sum(jnp.tanh(jnp.outer(x, x)))),
    "hessian": jax.hessian(lambda x: jnp.prod(jnp.sin(x))),
    "layer norm": lambda x: (x**3 - jnp.mean(x**3)) * lax.rsqrt(jnp.var(x**3) + 1e-3),
    "random": lambda x: x**3 * jax.random.normal(jax.random.key(0), (3,)),
    "integers": lambda x: x**3 * lax.convert_element_type(jnp.arange(3) ** 2, x.dtype),
    "precision": lambda x: (x**3).astype(jnp.float32).astype(x.dtype) * 0 + x**3,
}

POINT = np.array([0.3, 0.6, 0.2])
ALONG = np.array([0.7, -0.4, 0.5])


QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Compiles in half the time; nothing here runs long."""


def same_as_nested(f, plain=None):
    """Orders two and four along two directions, the fourth summed, against nested forward mode."""

    def both(x):
        along = jnp.stack([ALONG, 2 * ALONG])
        return directional(f, x, along, 4, jnp.array([1.0, 0.5]), lower=True), f(x), nested(plain or f, x, [(2,), (4,)], directions=ALONG[None])

    (value, lower, total), expected, (second, fourth) = jax.jit(both, compiler_options=QUICK)(POINT)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(lower[1], jnp.stack([second, 4 * second]), rtol=1e-10, atol=1e-10 * float(1 + jnp.max(jnp.abs(second))))
    np.testing.assert_allclose(total, 9 * fourth, rtol=1e-10, atol=1e-10 * float(1 + jnp.max(jnp.abs(total))))
