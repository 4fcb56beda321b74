"""Points of a training: how many for each term, drawn anew as often as a stage wants them.

| sampling                | points inside the domain                                                       |
|-------------------------|--------------------------------------------------------------------------------|
| "uniform", "sobol", ... | as `sampling.sample` draws them                                                 |
| "rad"                   | more of them where the residual is large (Wu, Zhu, Tan, Kartha, Lu 2023)        |
| a function (key, n)     | its own: {"t": (n,), "X": (n, d)} or (n, size)                                 |
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..errors import FitError, NameUnknown, nearest
from ..passes import Pointwise, Term
from .problem import Points, Problem
from .sampling import SCHEMES, rad, sample

CANDIDATES = 8  # points that are looked at for one that is taken, where the residual decides
_EVEN = 10  # dimensions up to which Sobol points are candidates
_COUNTS = {"boundary": 400, "initial": 400, "final": 400}


@dataclasses.dataclass(frozen=True, eq=False)
class Sampler:
    """Draws the points of all terms.

    Attributes:
        form: whose terms they are for.
        coordinates: the declared coordinates, in the order of the form.
        span: start and end of the time.
        domain: a region, or None for the box of the coordinates.
        counts: how many, by term.
        scheme: how they lie; a function for the user's own.
        measured: points of data, which stay.
        dtype: of the points.
    """

    form: Pointwise
    coordinates: tuple[Any, ...]
    span: tuple[float, float]
    domain: Any
    counts: Mapping[str, int]
    scheme: Any
    measured: Mapping[str, Points]
    dtype: Any

    def draw(self, key: Any, more: int = 1) -> dict[str, Points]:
        """New points for every term."""
        keys = jax.random.split(key, len(self.form.terms))
        drawn = {t.name: self._of(t, k, more * self.counts[t.name]) for t, k in zip(self.form.terms, keys, strict=True) if t.kind != "data"}
        return {**drawn, **self.measured}

    def adapted(self, problem: Problem, z: Any, key: Any) -> dict[str, Points]:
        """New points: those of equations where the residual is large."""
        drawing, choosing, estimating = jax.random.split(key, 3)
        many, plain = self.draw(drawing, CANDIDATES), self.draw(drawing)
        chosen = dict(plain)
        for i, piece in enumerate(p for p in problem.pieces if p.term.kind == "equation"):
            name = piece.term.name
            residual = problem.residual(z, piece, many[name], jax.random.fold_in(estimating, i))
            chosen[name] = Points(rad(jax.random.fold_in(choosing, i), many[name].points, jnp.abs(residual), self.counts[name]))
        return chosen

    def _of(self, term: Term, key: Any, n: int) -> Points:
        if callable(self.scheme):
            return Points(self._placed(term, self._users(key, n)))
        scheme = self.scheme if self.scheme != "rad" else "sobol" if self._size <= _EVEN else "uniform"
        points, normals = sample(term.place, self.coordinates, self.span, self.domain, n, key, scheme)
        return Points(points.astype(self.dtype), None if normals is None else normals.astype(self.dtype))

    def _users(self, key: Any, n: int) -> Any:
        found = self.scheme(key, n)
        if isinstance(found, Mapping):
            missing = [c for c in self.form.coordinates if c not in found]
            if missing:
                raise FitError(
                    f"The function given for sampling= has no '{missing[0]}'. It gives {{{', '.join(repr(c) for c in self.form.coordinates)}}}."
                )
            found = jnp.concatenate([jnp.reshape(jnp.asarray(found[c], self.dtype), (n, -1)) for c in self.form.coordinates], axis=1)
        if jnp.shape(found) != (n, self._size):
            raise FitError(f"The function given for sampling= gives points of shape {jnp.shape(found)} where ({n}, {self._size}) is wanted.")
        return jnp.asarray(found, self.dtype)

    @property
    def _size(self) -> int:
        """How many numbers a point has."""
        return max(place.stop for place in self.form.layout.values())

    def _placed(self, term: Term, points: Any) -> Any:
        """Points of the user's, moved to where the term holds."""
        if term.place.surface is not None:
            raise FitError(f"sampling= is a function, and '{term.name}' holds on a surface: build the condition in, or leave out sampling=.")
        for name, end in term.place.fixed:
            points = points.at[:, self.form.layout[name].start].set(self._end(name, end))
        return points

    def _end(self, name: str, end: str | float) -> float:
        if not isinstance(end, str):
            return end
        if end in ("start", "end"):
            return self.span[end == "end"]
        payload = next(c for c in self.coordinates if c.name == name).declaration.payload
        return payload["low" if end == "left" else "high"]


def counts_of(form: Pointwise, given: Any, usual_count: int) -> dict[str, int]:
    """How many points each term has: one number for equations, or a dict by term or by kind."""
    usual = {**_COUNTS, "equation": usual_count}
    terms = [t for t in form.terms if t.kind != "data"]
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        given = {"equation": given}
    known = [*dict.fromkeys(t.kind for t in terms), *(t.name for t in terms)]
    for name, n in given.items():
        if name not in known:
            raise NameUnknown(f"points= has '{name}', and there is no such term. {nearest(str(name), known)}")
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise FitError(f"points={{{name!r}: {n!r}}}: a whole number, at least 1.")
    return {t.name: given.get(t.name, given.get(t.kind, usual[t.kind])) for t in terms}


def checked_scheme(scheme: Any) -> Any:
    """A way of sampling that exists."""
    if callable(scheme) or scheme in (*SCHEMES, "rad"):
        return scheme
    raise FitError(f"sampling={scheme!r}: {nearest(str(scheme), [*SCHEMES, 'rad'])} Or give a function of (key, n).")
