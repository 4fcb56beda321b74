"""Which derivatives by which method, chosen by cost.

    operators of a term  ->  passes through the network, each shared by all functions  ->  values at one point

| asked for            | first derivatives      | partial derivatives by scalars | sums over a vector coordinate                   |
|----------------------|------------------------|--------------------------------|-------------------------------------------------|
| "auto"               | cheapest               | one pass over multi-indices    | cheapest exact one; 16 random directions where  |
|                      |                        |                                | the whole then costs less than an eighth        |
| "reverse", "nested"  | that mode              | that mode, nested              | that mode, nested                               |
| "taylor"             | cheapest               | one pass over multi-indices    | collapsed, along unit vectors                   |
| "directions"         | cheapest               | as "auto"                      | collapsed, along unit vectors                   |
| "gram"               | cheapest               | as "auto"                      | Laplacians through the first layer              |
| Sparse(n), Dense(n)  | cheapest               | as "auto"                      | estimated                                       |

The functions themselves come along with a pass that has them anyway.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import CompileError, FitError, NameUnknown, nearest
from ..passes import Along, Diagonal, Laplacian, Operator, Partial
from .plans.choose import asked_for, choose, described, refuse_bias
from .plans.methods import Method, Request, Setting
from .plans.nested import nested, reverse
from .plans.site import Site
from .plans.work import work_of


class Check(NamedTuple):
    """How far a plan is from nested reverse mode.

    Attributes:
        difference: relative to the reference, or to the sum of absolute values where a sum cancels.
        error: the standard error of the difference for an estimate, 0 for an exact method.
    """

    difference: float
    error: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the operators of one term are computed at a point. Made by `plan`.

    Attributes:
        passes: through the network.
        setting: what their cost was computed for.
        reasons: why each pass was chosen.
    """

    passes: tuple[Method, ...]
    setting: Setting
    reasons: tuple[str, ...]
    embedding: Any
    layout: dict[str, slice]

    @property
    def stochastic(self) -> bool:
        """Whether a value is an estimate, so that `evaluate` needs a key."""
        return any(p.stochastic for p in self.passes)

    def evaluate(self, network: Any, p: Any, weights: Mapping[str, Any] | None = None, key: Any = None) -> dict[str, Any]:
        """The operators at one point.

        Args:
            network: as planned, from inputs to one number for each function.
            p: the point, flat.
            weights: by key: of `Along` and `Diagonal` an array over i, or a number for all; of `Combination` its numbers.
            key: of random directions; a key of its own for each point.

        Returns:
            The value of each operator, by key: a number, or an array for `Gradient`.

        Raises:
            FitError: no key where one is needed.
        """
        if key is None and self.stochastic:
            raise FitError("These derivatives are estimated: evaluate(network, p, weights, key=jax.random.key(0)) needs a key.")
        site = self._site(network, p)
        found: dict[str, Any] = {}
        for i, one in enumerate(self.passes):
            found |= one.evaluate(site, weights or {}, jax.random.fold_in(key, i) if one.stochastic else None)
        return found

    def explain(self) -> str:
        """The passes as a table: operators, method, arrays carried in place of one, thousand operations at a point, reason."""
        rows = [("operators", "method", "arrays", "kFLOP", "why")]
        for one, why in zip(self.passes, self.reasons, strict=True):
            names = ", ".join(dict.fromkeys(described(r.operator) for r in one.requests))
            rows.append((names, one.name, f"{one.slots(self.setting):g}", f"{one.cost(self.setting) / 1e3:.3g}", why))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        return "\n".join("  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows)

    def check(self, network: Any, p: Any, weights: Mapping[str, Any] | None = None, key: Any = None, draws: int = 4096) -> dict[str, Check]:
        """Compares the plan with nested reverse mode at one point, in float64 if that is enabled.

        Args:
            network, p, weights, key: as for `evaluate`.
            draws: how many estimates are averaged.

        Returns:
            By key, the relative difference and its standard error.
        """
        weights = weights or {}
        found, error = self._moments(network, p, weights, key, draws)
        checks = {}
        for r in self.requests:
            truth, size = eqx.filter_jit(self._reference)(r, network, p, weights.get(r.key))
            size = jnp.maximum(jnp.max(jnp.abs(size)), jnp.finfo(p.dtype).tiny)
            checks[r.key] = Check(float(jnp.max(jnp.abs(found[r.key] - truth)) / size), float(jnp.max(error[r.key]) / size))
        return checks

    def variance(self, network: Any, p: Any, weights: Mapping[str, Any] | None = None, key: Any = None, draws: int = 1024) -> dict[str, Any]:
        """The variance of one estimate of each estimated operator at a point, from `draws` of them. Empty for exact plans.

        Args:
            network, p, weights, key: as for `evaluate`.
            draws: how many estimates.
        """
        estimated = {r.key for one in self.passes for r in one.estimated}
        if not estimated:
            return {}
        _, error = self._moments(network, p, weights or {}, key, draws)
        return {k: error[k] ** 2 * draws for k in sorted(estimated)}

    @property
    def requests(self) -> list[Request]:
        """What is computed, pass by pass."""
        return [r for one in self.passes for r in one.requests]

    def _reference(self, request: Request, network: Any, p: Any, weights: Any) -> tuple[Any, Any]:
        return nested(Site(network, self.embedding, self.layout, p), request.operator, request.k, weights, reverse)

    def _site(self, network: Any, p: Any) -> Site:
        return Site(network, self.embedding, self.layout, p, self.setting.linear)

    def _moments(self, network: Any, p: Any, weights: Any, key: Any, draws: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Mean and standard error by key."""
        if not self.stochastic:
            found = eqx.filter_jit(self.evaluate)(network, p, weights)
            return found, {k: jnp.zeros_like(v) for k, v in found.items()}
        keys = jax.random.split(jax.random.key(0) if key is None else key, draws)
        many = eqx.filter_jit(lambda n, p, w, ks: jax.lax.map(lambda k: self.evaluate(n, p, w, k), ks, batch_size=256))
        values = many(network, p, weights, keys)
        return (
            {k: jnp.mean(v, 0) for k, v in values.items()},
            {k: jnp.std(v, 0, ddof=1) / math.sqrt(draws) for k, v in values.items()},
        )


def plan(
    operators: Mapping[str, Operator],
    functions: Sequence[str],
    network: Any,
    embedding: Any,
    layout: Mapping[str, slice],
    coordinates: Sequence[str],
    *,
    derivatives: Any = "auto",
    linear: Mapping[str, bool] | None = None,
    term: str = "",
    points: int = 100,
) -> Plan:
    """Chooses how the operators of one term are computed.

    Args:
        operators: by key, as in `Pointwise.operators`.
        functions: the functions that the network gives, in order.
        network: from inputs, (embedding.size,), to one number for each function, or to one number. Its arrays may be shapes.
        embedding: from a point to the inputs.
        layout: where each coordinate lies in a point.
        coordinates: their names, in the order of a point.
        derivatives: "auto", "reverse", "nested", "taylor", "gram", "directions", `Sparse(n)` or `Dense(n)`.
        linear: by key, whether the residual is affine in the operator; left out, it is. What is not must be exact.
        term: its name, for messages.
        points: how many points share what is computed once for all.

    Raises:
        FitError: a method that does not exist or cannot do what is asked; an estimate that the residual is not affine in.

    Dangel, Siebert, Zeinhofer, Walther 2025, Collapsing Taylor Mode; Shi, Hu, Lin, Kawaguchi 2024, STDE.

    >>> import equinox as eqx, jax, jax.numpy as jnp, sciml as sci, sympy as sp
    >>> from sciml.passes import Laplacian, Partial
    >>> from sciml.pinn.embedding import embedding_of
    >>> from sciml.pinn.plan import plan
    >>> X = sci.space("X", -sp.oo, sp.oo, dim=1000)
    >>> network = eqx.nn.MLP(1000, 1, 16, 2, jnp.tanh, key=jax.random.key(0))
    >>> made = plan({"v": Partial("v"), "lap": Laplacian("v", "X")}, ("v",), network, embedding_of((X,)), {"X": slice(0, 1000)}, ("X",))
    >>> [one.name for one in made.passes], made.stochastic
    (['gram'], False)
    >>> sorted(made.evaluate(network, jnp.zeros(1000)))
    ['lap', 'v']
    """
    asked = asked_for(derivatives, term)
    dims = {name: layout[name].stop - layout[name].start for name in coordinates}
    requests = [Request(key, _plain(op), _place(op.of, functions)) for key, op in operators.items()]
    vectors = {r.operator.coordinate for r in requests if hasattr(r.operator, "coordinate")}
    work = work_of(network, jax.ShapeDtypeStruct((embedding.size,), _precision(network)))
    wide = [name for name in coordinates if name in vectors or dims[name] > 1]
    straight = tuple(name for name in wide if work.layer and embedding.block(name)[1] is not None)
    plain = tuple(name for name in straight if work.layer and not work.layer.shifted and _is_one(embedding.block(name)[1]))
    setting = Setting(work, dims, straight, plain, points)
    chosen = choose(requests, asked, setting, term)
    refuse_bias(chosen, linear or {}, setting, term)
    return Plan(tuple(p for p, _ in chosen), setting, tuple(why for _, why in chosen), embedding, dict(layout))


def _is_one(scale: Any) -> bool:
    return isinstance(scale, float) and scale == 1.0


def _plain(operator: Any) -> Any:
    """An operator in its shortest form; refuses what no method has."""
    match operator:
        case Partial(of, orders):
            return Partial(of, tuple((name, times) for name, times in orders if times))
        case Diagonal(of, coordinate, 1, weight):
            return Along(of, coordinate, weight)
        case Laplacian(_, _, power) if power not in (1, 2):
            raise CompileError(
                f"{described(operator)} with power={power}: the Laplacian can be applied once or twice. Introduce w = laplacian(u) as a field."
            )
    return operator


def _precision(network: Any) -> Any:
    """The floating type of a network's arrays."""
    found = [leaf.dtype for leaf in jax.tree.leaves(network) if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)]
    return found[0] if found else jnp.result_type(float)


def _place(function: str, functions: Sequence[str]) -> int:
    if function not in functions:
        raise NameUnknown(f"The network gives no function '{function}'. {nearest(function, functions)}")
    return list(functions).index(function)
