"""The partial differential equations of the benchmarks: their data, right sides written by hand in JAX, and what their solutions must be.

`Spectral` holds a periodic problem u_t = L u + N(u) with an ETDRK4 written by hand (Cox and Matthews 2002; phi functions by a contour, Kassam
and Trefethen 2005, complex throughout). On a finer grid with a smaller step it is the reference, on the same grid it is the expert's
own program. Run as a script it prints what the references leave open: their distance from one with half the step.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import table
from benchmarks.stiff_problems import QUICK

CONTOUR = 64


def begin(sciml: bool = True, float64: bool = True) -> None:
    """Before anything else: sciml sets its option of XLA before JAX starts its backend."""
    import jax

    if sciml:
        import sciml as sci  # noqa: F401
    jax.config.update("jax_enable_x64", float64)


def axis(length: float, n: int) -> np.ndarray:
    """Periodic grid points, the left end included."""
    return length * np.arange(n) / n


def relative(u: Any, ref: Any) -> float:
    """Relative distance in the mean square; infinite for what is not a number."""
    far = float(np.linalg.norm(np.asarray(u, float) - ref) / np.linalg.norm(ref))
    return far if np.isfinite(far) else np.inf


# -- periodic and spectral -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Spectral:
    """A periodic problem with one field. `symbol` and `rest` take the wave numbers of each axis (see `waves`)."""

    name: str
    length: float
    n: int
    end: float
    steps: tuple[float, ...]  # a ladder of steps, falling
    levels: tuple[float, ...]  # errors at which times are compared
    start: Callable[..., np.ndarray]  # of coordinates
    symbol: Callable[..., Any]
    rest: Callable[..., Any]  # (field in modes, inverse transform, transform, *wave numbers) -> in modes
    dims: int = 1

    def start_on(self, n: int | None = None) -> np.ndarray:
        points = axis(self.length, n or self.n)
        return self.start(*np.meshgrid(*[points] * self.dims, indexing="ij"))

    def count(self, dt: float) -> int:
        return round(self.end / dt)

    def by_hand(self, dt: float, n: int | None = None) -> Callable[[Any], Any]:
        """Jitted: start -> end, in the layout of `start_on`."""
        import jax
        import jax.numpy as jnp

        n, dims = n or self.n, self.dims
        ks, keep = waves(self.length, n, dims)
        table_ = [jnp.asarray(a) for a in etdrk4_table(self.symbol(*ks), dt)]
        ks_ = [jnp.asarray(k) for k in ks]
        keep_ = jnp.asarray(keep)

        def forward(u: Any) -> Any:
            return jnp.fft.rfftn(u, axes=range(-dims, 0))

        def back(v: Any) -> Any:
            return jnp.fft.irfftn(v, s=(n,) * dims, axes=range(-dims, 0))

        def rest(v: Any) -> Any:
            return keep_ * self.rest(v, back, forward, *ks_)

        def step(v: Any, _: Any) -> tuple[Any, None]:
            full, half, q, f1, f2, f3 = table_
            nv = rest(v)
            a = half * v + q * nv
            na = rest(a)
            nb = rest(half * v + q * na)
            nc = rest(half * a + q * (2 * nb - nv))
            return full * v + f1 * nv + f2 * (na + nb) + f3 * nc, None

        return jax.jit(lambda u: back(jax.lax.scan(step, forward(u), None, length=self.count(dt))[0]))

    def reference(self, finer: int = 2, smaller: float = 8.0) -> np.ndarray:
        """The end on the points of the grid, from a grid `finer` times finer and a step that many times smaller than the smallest."""
        run = self.by_hand(self.steps[-1] / smaller, finer * self.n)
        return np.asarray(run(self.start_on(finer * self.n)))[(slice(None, None, finer),) * self.dims]


def waves(length: float, n: int, dims: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Wave numbers of each axis in the layout of `rfftn` (0 at the highest, whose sign is not known), and the 2/3 rule as a mask."""
    whole, half = np.fft.fftfreq(n, 1 / n), np.fft.rfftfreq(n, 1 / n)
    numbers = np.meshgrid(*[whole] * (dims - 1), half, indexing="ij")
    keep = np.all([np.abs(k) <= n // 3 for k in numbers], axis=0)
    return [2 * np.pi / length * np.where(np.abs(k) == n // 2, 0, k) for k in numbers], keep


def etdrk4_table(symbol: np.ndarray, dt: float) -> tuple[np.ndarray, ...]:
    """exp(z), exp(z/2), and the four weights times the step; means over a circle around each z, complex where z is."""
    z = dt * np.asarray(symbol)
    circle = np.exp(2j * np.pi * (np.arange(CONTOUR) + 0.5) / CONTOUR)
    r = z[..., None] + circle
    e, e2 = np.exp(r), np.exp(r / 2)
    weights = [(e2 - 1) / r, (-4 - r + e * (4 - 3 * r + r**2)) / r**3, 2 * (2 + r + e * (r - 2)) / r**3, (-4 - 3 * r - r**2 + e * (4 - r)) / r**3]
    means = [dt * w.mean(axis=-1) for w in weights]
    return (np.exp(z), np.exp(z / 2), *(means if np.iscomplexobj(symbol) else [m.real for m in means]))


BURGERS_NU, NAVIER_STOKES_NU = 0.05, 1e-3
SOLITON_SPEED, SOLITON_START = 4.0, 15.0


def soliton(x: Any, t: float = 0.0) -> np.ndarray:
    """The solution of Korteweg and de Vries' equation that travels at SOLITON_SPEED."""
    c = SOLITON_SPEED
    return c / 2 / np.cosh(np.sqrt(c) / 2 * (x - SOLITON_START - c * t)) ** 2


def vorticity(x: Any, y: Any) -> np.ndarray:
    """A smooth random field: wave numbers up to 3, of mean 0 and root mean square 1. 128 x 128 points resolve what it becomes by t = 2."""
    rng = np.random.default_rng(0)
    w = np.zeros_like(x)
    for i in range(-3, 4):
        for j in range(4):
            a, b = rng.normal(size=2)
            if 0 < i * i + j * j <= 9:
                w += a * np.cos(i * x + j * y) + b * np.sin(i * x + j * y)
    return w / np.sqrt(np.mean(w**2))


def _square(v: Any, back: Any, forward: Any, k: Any, factor: float) -> Any:
    """-factor d(u^2)/dx"""
    return -1j * factor * k * forward(back(v) ** 2)


def _swirl(w: Any, back: Any, forward: Any, kx: Any, ky: Any) -> Any:
    """-(psi_y w_x - psi_x w_y) with laplacian(psi) = w"""
    import jax.numpy as jnp

    k2 = kx**2 + ky**2
    psi = -w / jnp.where(k2 == 0, 1.0, k2)
    return -forward(back(1j * ky * psi) * back(1j * kx * w) - back(1j * kx * psi) * back(1j * ky * w))


BURGERS = Spectral(
    "Burgers", 2 * np.pi, 256, 2.0, (0.08, 0.04, 0.02, 0.01), (1e-5, 1e-6), lambda x: np.sin(x) + 0.5 * np.cos(2 * x),
    lambda k: -BURGERS_NU * k**2, lambda v, b, f, k: _square(v, b, f, k, 0.5),
)  # fmt: skip
KURAMOTO_SIVASHINSKY = Spectral(
    "Kuramoto-Sivashinsky", 32 * np.pi, 256, 10.0, (0.4, 0.2, 0.1, 0.05), (1e-5, 1e-6), lambda x: np.cos(x / 16) * (1 + np.sin(x / 16)),
    lambda k: k**2 - k**4, lambda v, b, f, k: _square(v, b, f, k, 0.5),
)  # fmt: skip
KDV = Spectral(
    "Korteweg-de Vries", 40.0, 256, 2.0, (0.02, 0.01, 0.005, 0.0025), (3e-4,), soliton,
    lambda k: 1j * k**3, lambda v, b, f, k: _square(v, b, f, k, 3.0),
)  # fmt: skip
NAVIER_STOKES = Spectral(
    "Navier-Stokes vorticity", 2 * np.pi, 128, 2.0, (0.05, 0.04, 0.025), (1e-5,), vorticity,
    lambda kx, ky: -NAVIER_STOKES_NU * (kx**2 + ky**2), _swirl, dims=2,
)  # fmt: skip
SPECTRAL = {p.name: p for p in (BURGERS, KURAMOTO_SIVASHINSKY, NAVIER_STOKES)}


# -- Gray and Scott's reaction, periodic -----------------------------------------------------------------------------

GRAY_SCOTT = {"Du": 2e-5, "Dv": 1e-5, "F": 0.037, "k": 0.06}
GRAY_SCOTT_N = 128


def gray_scott_start(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """A spot, and ripples that break the symmetry."""
    spot = np.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) / 0.01)
    ripple = 0.02 * np.sin(2 * np.pi * (3 * x + y)) * np.cos(4 * np.pi * y)
    return 1 - 0.5 * spot + ripple, 0.25 * spot + 0.02 + ripple / 2


def gray_scott_fields(n: int = GRAY_SCOTT_N) -> np.ndarray:
    """(2, n, n)"""
    return np.stack(gray_scott_start(*np.meshgrid(*[axis(1.0, n)] * 2, indexing="ij")))


def gray_scott_rolled(w: Any, n: int = GRAY_SCOTT_N) -> Any:
    """The rates as an expert writes them: neighbours by roll."""
    import jax.numpy as jnp

    def laplacian(a: Any) -> Any:
        return (jnp.roll(a, 1, 0) + jnp.roll(a, -1, 0) + jnp.roll(a, 1, 1) + jnp.roll(a, -1, 1) - 4 * a) * n**2

    return _gray_scott(w, laplacian)


def gray_scott_padded(w: Any, n: int = GRAY_SCOTT_N) -> Any:
    """The same: neighbours as slices of a padded field."""
    import jax.numpy as jnp

    def laplacian(a: Any) -> Any:
        b = jnp.pad(a, 1, mode="wrap")
        return (b[:-2, 1:-1] + b[2:, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:] - 4 * a) * n**2

    return _gray_scott(w, laplacian)


def _gray_scott(w: Any, laplacian: Callable[[Any], Any]) -> Any:
    import jax.numpy as jnp

    (u, v), c = w, GRAY_SCOTT
    turned = u * v**2
    return jnp.stack([c["Du"] * laplacian(u) - turned + c["F"] * (1 - u), c["Dv"] * laplacian(v) + turned - (c["F"] + c["k"]) * v])


# -- with sides ------------------------------------------------------------------------------------------------------

WALLS_N, WALLS_NU, WALLS_END = 256, 0.05, 2.0


def walls_start(x: Any) -> np.ndarray:
    """Burgers between walls, on (0, 2 pi)."""
    return np.sin(x) + 0.5 * np.sin(2 * x)


def walls_rates(t: Any, u: Any, p: Any) -> Any:
    """Burgers between walls by differences of second order; u holds the inner points, 0 stands at the sides. The square is differenced."""
    import jax.numpy as jnp

    h = 2 * np.pi / (len(u) + 1)
    w = jnp.pad(u, 1)
    return WALLS_NU * (w[2:] - 2 * u + w[:-2]) / h**2 - (w[2:] ** 2 - w[:-2] ** 2) / (4 * h)


REACTION = {"Du": 1e-3, "Dv": 5e-3, "k": 5e-3}
REACTION_N, REACTION_END = (64 if QUICK else 256), 2.0


def reaction_start(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """FitzHugh and Nagumo's equations on (-1, 1)^2, no flux through the sides; even around each side."""
    return np.cos(2 * np.pi * x) * np.cos(np.pi * y) + 0.3, 0.5 * np.cos(np.pi * x) * np.cos(3 * np.pi * y)


def reaction_rates(t: Any, w: Any, p: Any) -> Any:
    """By differences of second order, both sides included; the point beyond a side mirrors the one before it."""
    import jax.numpy as jnp

    (u, v), c, h = w, REACTION, 2 / (w.shape[1] - 1)

    def laplacian(a: Any) -> Any:
        b = jnp.pad(a, 1, mode="reflect")
        return (b[:-2, 1:-1] + b[2:, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:] - 4 * a) / h**2

    return jnp.stack([c["Du"] * laplacian(u) + u - u**3 - v - c["k"], c["Dv"] * laplacian(v) + u - v])


def reaction_fields(n: int = REACTION_N) -> np.ndarray:
    return np.stack(reaction_start(*np.meshgrid(*[np.linspace(-1, 1, n)] * 2, indexing="ij")))


# -- the Brusselator of SciML's benchmarks, periodic -----------------------------------------------------------------

BRUSSELATOR = {"A": 3.4, "B": 1.0, "alpha": 10.0, "switch": 1.1, "force": 5.0}
BRUSSELATOR_N, BRUSSELATOR_END = (32 if QUICK else 128), 11.5


def brusselator_fields(n: int = BRUSSELATOR_N) -> np.ndarray:
    x, y = np.meshgrid(*[axis(1.0, n)] * 2, indexing="ij")
    return np.stack([22 * (y * (1 - y)) ** 1.5, 27 * (x * (1 - x)) ** 1.5])


def brusselator_by_hand(dt: float, graded: int = 1, spectral: bool = False, n: int = BRUSSELATOR_N) -> Callable[[Any], Any]:
    """Jitted ETDRK4 in modes: start -> end, by differences of second order or spectral.

    A step ends where the force starts. What the start and the force excite dies out within 1/(4 pi^2 alpha) = 0.0025, in layers
    after t = 0 and t = 1.1 which a constant step does not see: `graded` times smaller steps are taken there.
    """
    import jax
    import jax.numpy as jnp

    c = BRUSSELATOR
    whole, half = 2 * np.pi * np.fft.fftfreq(n, 1 / n), 2 * np.pi * np.fft.rfftfreq(n, 1 / n)
    kx, ky = np.meshgrid(whole, half, indexing="ij")
    laplacian = -(kx**2 + ky**2) if spectral else -4 * n**2 * (np.sin(kx / n / 2) ** 2 + np.sin(ky / n / 2) ** 2)
    x, y = np.meshgrid(*[axis(1.0, n)] * 2, indexing="ij")
    disc = c["force"] * ((x - 0.3) ** 2 + (y - 0.6) ** 2 <= 0.1**2)

    def stretch(begin: float, end: float, dt: float, force: Any) -> Callable[[Any], Any]:
        steps = round((end - begin) / dt)
        full, h, q, f1, f2, f3 = (jnp.asarray(a) for a in etdrk4_table(c["alpha"] * laplacian, (end - begin) / steps))

        def rest(v: Any) -> Any:
            u, w = jnp.fft.irfft2(v, s=(n, n))
            turned = u**2 * w
            return jnp.fft.rfft2(jnp.stack([c["B"] + turned - (c["A"] + 1) * u + force, c["A"] * u - turned]))

        def step(v: Any, _: Any) -> tuple[Any, None]:
            nv = rest(v)
            a = h * v + q * nv
            na = rest(a)
            nb = rest(h * v + q * na)
            nc = rest(h * a + q * (2 * nb - nv))
            return full * v + f1 * nv + f2 * (na + nb) + f3 * nc, None

        return lambda v: jax.lax.scan(step, v, None, length=steps)[0]

    layer, small, switch = 0.06, dt / graded, c["switch"]
    times = [(0.0, layer, small), (layer, switch, dt), (switch, switch + layer, small), (switch + layer, BRUSSELATOR_END, dt)]
    stretches = [stretch(a, b, s, jnp.asarray(disc) if a >= switch else 0.0) for a, b, s in times]

    def solve(w: Any) -> Any:
        v = jnp.fft.rfft2(w)
        for part in stretches:
            v = part(v)
        return jnp.fft.irfft2(v, s=(n, n))

    return jax.jit(solve)


def main() -> None:
    begin()
    rows = [[p.name, relative(p.reference(smaller=4.0), p.reference())] for p in SPECTRAL.values()]
    rows.append(["Korteweg-de Vries, the soliton's tail at the ends of the axis", float(soliton(0.0, 0.0) / 2)])
    table("References of the PDE benchmarks, distance from half the step", ["problem", "distance"], rows)


if __name__ == "__main__":
    main()
