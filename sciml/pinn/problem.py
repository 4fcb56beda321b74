"""The loss of a physics-informed network: residuals of a System at points, and differences to data.

    loss(z) = sum over terms of weight * mean of residual^2

    z                                   what is trained: {"network": arrays, "params": free numbers, "functions": arrays}
    Batch                               points of every term, their weights, a key
    residuals(z, batch)                 their vector, scaled so that its squares add up to the loss
    loss(z, batch)                      the same number; with estimated derivatives an unbiased estimate of it

An estimate R of a residual r has E[R^2] = r^2 + Var R, so its square would also minimise the variance. The product of two
independent estimates has the mean r^2 (Shi, Hu, Lin, Kawaguchi 2024, Stochastic Taylor Derivative Estimator, section 3).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..codegen import Here, LoweredPointwise
from ..optimize import Transform
from ..passes import Term
from .embedding import Embedding

_TOGETHER = 1 << 20  # numbers in the points whose sources are computed at once


def is_trained(leaf: Any) -> bool:
    """Whether an array of a network is trained: JAX's are, NumPy's stay as they are."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)


class Points(NamedTuple):
    """Where a term is taken.

    Attributes:
        points: flat vectors of coordinates, (n, size).
        normals: outward normals at a surface, (n, scalar coordinates); None elsewhere.
        values: of data: measured value in units of its noise, (n,); None for equations and conditions.
        weights: of each point, (n,); None for 1.
        given: parts of the residual that depend on the points alone, by name, (n,) each; None: not computed yet.
    """

    points: Any
    normals: Any = None
    values: Any = None
    weights: Any = None
    given: Any = None


class Batch(NamedTuple):
    """What a step gets: points by term, weights of terms, a key for estimates."""

    points: dict[str, Points]
    weights: dict[str, Any]
    key: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """A term with the plan of its derivatives."""

    term: Term
    plan: Any


class Problem:
    """Residuals and loss as functions of what is trained.

    Args:
        lowered: the form with its functions; data terms among its terms.
        embedding: from points to the inputs of the network.
        module: the network; its arrays of floating numbers are trained.
        pieces: terms with plans.
        transforms: of free parameters, by name.
        fixed: values of other parameters and functions.
        span: start and end of the time.
        normals: scalar coordinates of space, in the order of the columns of normals.
        trained: networks and data of the equations that are trained along.
    """

    def __init__(
        self,
        lowered: LoweredPointwise,
        embedding: Embedding,
        module: Any,
        pieces: list[Piece],
        transforms: Mapping[str, Transform],
        fixed: Mapping[str, Any],
        span: tuple[float, float],
        normals: tuple[str, ...] = (),
        trained: Iterable[str] = (),
    ):
        self.lowered, self.form, self.embedding, self.pieces = lowered, lowered.form, embedding, pieces
        self.arrays, self.static = eqx.partition(module, is_trained)
        self.transforms, self.fixed, self.span, self.normals = dict(transforms), dict(fixed), span, normals
        self.stochastic = any(p.plan.stochastic for p in pieces)
        varying = frozenset((*transforms, *trained))
        self.parts = {p.term.name: lowered.split(p.term.residual, varying) for p in pieces}

    @property
    def names(self) -> list[str]:
        """Terms in their order."""
        return [p.term.name for p in self.pieces]

    # -- what z stands for ----------------------------------------------------------------------------

    def module(self, z: Any) -> Any:
        """The network with the arrays of z."""
        return eqx.combine(z["network"], self.static)

    def given(self, z: Any) -> dict[str, Any]:
        """Parameters and arrays of functions: fixed ones, and those that z holds."""
        free = {n: self.transforms[n].value(v) for n, v in z["params"].items()}
        return {**self.fixed, **free, **z["functions"]}

    def everywhere(self, z: Any, dtype: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Numbers and functions of the equations."""
        given = self.given(z)
        return self.lowered.numbers(given, dtype), self.lowered.functions(given)

    # -- residuals --------------------------------------------------------------------------------------

    def at_point(self, piece: Piece) -> Callable[..., Any]:
        """The residual of a term as a function of z and of a row: (point, normal, value, given parts, key), None for what there is not."""
        residual, parts = self.parts[piece.term.name]

        def one(z: Any, point: Any, normal: Any, value: Any, given: Any, key: Any) -> Any:
            module, (numbers, functions) = self.module(z), self.everywhere(z, point.dtype)
            by_name = {} if normal is None else {f"n_{c}": normal[i] for i, c in enumerate(self.normals)}
            here = Here(point, {}, numbers, functions, self.span, by_name)
            weights = self.lowered.weights(piece.term.operators, here)
            found = piece.plan.evaluate(module, point, weights, key)
            if given is None:
                given = dict(zip(parts, self.lowered.evaluate(list(parts.values()), here), strict=True))
            known = {**given, **({} if value is None else {"measured": value})}
            return self.lowered.evaluate([residual], here._replace(operators=found, given=known))[0]

        return one

    def prepared(self, z: Any, points: Mapping[str, Points]) -> dict[str, Points]:
        """Points with the parts of residuals that depend on them alone, such as a source: computed once, and not differentiated.

        In many dimensions a few points at a time, since their parts are as long as a point.
        """
        made = dict(points)
        for piece in self.pieces:
            at, (_, parts) = points[piece.term.name], self.parts[piece.term.name]
            if parts:
                numbers, functions = self.everywhere(z, at.points.dtype)

                def one(point: Any, parts: Any = parts, numbers: Any = numbers, functions: Any = functions) -> Any:
                    here = Here(point, {}, numbers, functions, self.span)
                    return dict(zip(parts, self.lowered.evaluate(list(parts.values()), here), strict=True))

                size = at.points.shape[1]
                made[piece.term.name] = at._replace(given=jax.lax.map(one, at.points, batch_size=max(_TOGETHER // size, 1)))
        return made

    def residual(self, z: Any, piece: Piece, at: Points, key: Any) -> Any:
        """The residual of one term at all of its points, (n,)."""
        one, given = self.at_point(piece), self._given(piece, at, key)
        return jax.vmap(lambda *row: one(z, *row), in_axes=_axes(given))(*given)

    def _given(self, piece: Piece, at: Points, key: Any) -> tuple[Any, ...]:
        keys = jax.random.split(key, at.points.shape[0]) if piece.plan.stochastic else None
        return at.points, at.normals, at.values, at.given, keys

    def by_term(self, z: Any, batch: Batch) -> dict[str, Any]:
        """Residuals of all terms; with estimated derivatives one sample of them."""
        return {p.term.name: self.residual(z, p, batch.points[p.term.name], k) for p, k in self.keyed(batch)}

    def residuals(self, z: Any, batch: Batch) -> Any:
        """One vector, whose sum of squares is the loss."""
        found = self.by_term(z, batch)
        return jnp.concatenate([r * jnp.sqrt(_weight(batch, n) / r.shape[0]) for n, r in found.items()])

    def jacobian(self, z: Any, batch: Batch) -> tuple[Any, Any]:
        """The residuals, and their derivatives by the numbers in z: a row for each, by one reverse pass at each point."""
        flat, unravel = ravel_pytree(z)
        vectors, rows = [], []
        for piece, key in self.keyed(batch):
            at, one = batch.points[piece.term.name], self.at_point(piece)
            given = self._given(piece, at, key)
            by_row = jax.value_and_grad(lambda f, *row, one=one: one(unravel(f), *row))
            value, derivative = jax.vmap(lambda *row, by_row=by_row: by_row(flat, *row), in_axes=_axes(given))(*given)
            scale = jnp.broadcast_to(jnp.sqrt(_weight(batch, piece.term.name) / value.shape[0]), value.shape)
            vectors.append(value * scale)
            rows.append(derivative * scale[:, None])
        return jnp.concatenate(vectors), jnp.concatenate(rows)

    def loss(self, z: Any, batch: Batch) -> Any:
        """The loss; with estimates, an unbiased estimate of it."""
        return self.shown(z, batch)[0]

    def shown(self, z: Any, batch: Batch) -> tuple[Any, dict[str, Any]]:
        """The loss, and the mean squares of the terms by name."""
        squares = {p.term.name: self.square(z, p, batch, k) for p, k in self.keyed(batch)}
        loss = sum(jnp.mean(_weight(batch, n) * s) for n, s in squares.items())
        return loss, {n: jnp.mean(s) for n, s in squares.items()} if len(squares) > 1 else {}

    def square(self, z: Any, piece: Piece, batch: Batch, key: Any) -> Any:
        """The squares of a term's residuals, or products of two independent estimates of them."""
        at = batch.points[piece.term.name]
        if not piece.plan.stochastic:
            return self.residual(z, piece, at, key) ** 2
        first, second = jax.vmap(lambda k: self.residual(z, piece, at, k))(jax.random.split(key))
        return first * second

    def keyed(self, batch: Batch) -> list[tuple[Piece, Any]]:
        """Each term with its key."""
        return list(zip(self.pieces, jax.random.split(batch.key, len(self.pieces)), strict=True))


def _axes(given: tuple[Any, ...]) -> tuple[int | None, ...]:
    return tuple(None if one is None else 0 for one in given)


def _weight(batch: Batch, name: str) -> Any:
    """The weight of a term, of each point where points have some."""
    own = batch.points[name].weights
    return batch.weights[name] if own is None else batch.weights[name] * own
