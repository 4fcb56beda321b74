"""The problem of a fit: what is free, what was measured, and the residuals between them. Knows nothing of methods."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..codegen import CompiledSystem, compile
from ..data import Observations, observations
from ..errors import FitError, NameUnknown, nearest
from ..optimize import Transform, transform_of
from ..solve import solve
from ..system import System, name_of
from .noise import LogNormal, Normal

Noise = Normal | LogNormal


class FitProblem:
    """Free parameters and initial values against data.

    `values(z)` turns the flat vector of an optimiser into ({params}, {initial}); `residuals(z)` are the
    differences to the data in units of their noise.
    """

    def __init__(
        self,
        system: System | CompiledSystem,
        data: Any,
        free: Sequence[Any] | None,
        observe: Mapping[str, Any] | None,
        noise: Mapping[str, Noise] | Noise | None,
        params: Mapping[Any, Any] | None,
        initial: Mapping[Any, Any] | None,
        t_span: Sequence[float] | None,
        options: Mapping[str, Any],
        weight_decay: float | Mapping[str, float] = 0.0,
    ):
        self.model = compile(system)
        if self.model.noise.kind != "none":
            raise FitError("sci.fit fits systems without white noise in this version. Set the noise terms to zero: system.subs({sigma: 0}).")
        self.data = observations(data)
        self.observe = _observed(self.model, self.data, observe or {})
        self.noise = _noises(self.data, noise)
        self.options = {"rtol": None, "atol": None, **options}
        layout = self.model.layout
        self.fixed_params = {layout.check_param(k): v for k, v in (params or {}).items()}
        self.fixed_initial = {layout.check_state(k): v for k, v in (initial or {}).items()}
        self.t_span = self._span(t_span)
        self.start, self.transforms = self._free(free)
        self.weight_decay = _decays(weight_decay, [n for n in self.start["params"] if n in self.model.layout.functions])
        flat, self._unravel = ravel_pytree(self.start)
        self.z0 = self._to_free(self.start)
        self.size = int(flat.size)
        if self.size > self.data.count and not self.has_network:
            raise FitError(f"{self.size} numbers are free and only {self.data.count} were measured. Free fewer: sci.fit(..., free=[...]).")

    # -- what is free -----------------------------------------------------------------

    @property
    def has_network(self) -> bool:
        return any(n in self.model.layout.functions for n in self.start["params"])

    def _free(self, free: Sequence[Any] | None) -> tuple[dict[str, dict[str, Any]], dict[str, Transform]]:
        layout = self.model.layout
        names = list(layout.settable) if free is None else [name_of(f) for f in free]
        if free is None:
            names = [n for n in names if n in layout.params and not layout.params[n].derived]
        if not names:
            raise FitError("Nothing is free. Name parameters, or unknowns for their initial values: sci.fit(..., free=[a, b, x]).")
        start: dict[str, dict[str, Any]] = {"params": {}, "initial": {}}
        transforms: dict[str, Transform] = {}
        for name in names:
            if name in layout.states:
                self._free_number(name, layout.states[name], self.fixed_initial, start["initial"], transforms)
            elif name in layout.functions:
                start["params"][name] = self.fixed_params.get(name, self.model.params[name])
            else:
                layout.check_param(name)
                self._free_number(name, layout.params[name], self.fixed_params, start["params"], transforms)
        return start, transforms

    def _free_number(self, name: str, place: Any, given: Mapping[str, Any], into: dict[str, Any], transforms: dict[str, Transform]) -> None:
        value = given.get(name, place.default)
        d = place.declaration
        if place.derived and name not in given:
            raise FitError(f"'{name}' is defined by others. Free those instead, or give it a start: sci.fit(..., params={{\"{name}\": 1.0}}).")
        if value is None and d is not None:
            value = d.guess
        if value is None:
            word = "initial" if into is not None and name in self.model.layout.states else "params"
            raise FitError(f"'{name}' is free and has no start value. Declare one, or write sci.fit(..., {word}={{\"{name}\": 1.0}}).")
        value = np.broadcast_to(np.asarray(value, float), place.shape)
        bounds, scale = (d.bounds, d.scale) if d is not None else (None, None)
        transforms[name] = transform_of(name, value if place.shape else float(value), bounds, scale)
        into[name] = jnp.asarray(value, float)

    def _to_free(self, values: dict[str, dict[str, Any]]) -> Any:
        changed = {kind: {n: self.transforms[n].free(v) if n in self.transforms else v for n, v in group.items()} for kind, group in values.items()}
        return ravel_pytree(jax.tree.map(lambda v: jnp.asarray(v, float), changed))[0]

    def values(self, z: Any) -> dict[str, dict[str, Any]]:
        """{"params": ..., "initial": ...} for the flat vector of an optimiser."""
        tree = self._unravel(z)
        return {kind: {n: self.transforms[n].value(v) if n in self.transforms else v for n, v in group.items()} for kind, group in tree.items()}

    @functools.cached_property
    def labels(self) -> list[str]:
        """One name for each free number, in the order of the covariance. An initial value is called x(0) after its unknown."""
        names = []
        for kind in ("initial", "params"):  # the order of a flattened dict
            for name in sorted(self.start[kind]):
                value = self.start[kind][name]
                shown = f"{name}({self.t_span[0]:g})" if kind == "initial" else name
                leaves = jax.tree.leaves(value)
                if len(leaves) == 1 and np.ndim(leaves[0]) == 0:
                    names.append(shown)
                else:
                    names += [f"{shown}[{i}]" for i in range(sum(np.size(leaf) for leaf in leaves))]
        return names

    # -- what it is compared with --------------------------------------------------------

    def _span(self, t_span: Sequence[float] | None) -> tuple[float, float]:
        first, last = float(self.data.times[0]), float(self.data.times[-1])
        if t_span is None:
            if first == last:
                raise FitError("All values were measured at one time. Give the start: sci.fit(..., t_span=(0, 10)).")
            return first, last
        start, end = map(float, t_span)
        if first < start or last > end:
            raise FitError(f"Data lie between t={first:g} and t={last:g}, outside t_span=({start:g}, {end:g}). Widen t_span.")
        return start, end

    def solution(self, values: Mapping[str, Mapping[str, Any]], adjoint: str = "auto", saveat: Any = None) -> Any:
        """The Solution for some values of what is free."""
        params = {**self.fixed_params, **values["params"]}
        initial = {**self.fixed_initial, **values["initial"]}
        times = self.data.times if saveat is None else saveat
        return solve(self.model, t_span=self.t_span, params=params, initial=initial, saveat=times, adjoint=adjoint, throw=False, **self.options)

    def predicted(self, sol: Any) -> dict[str, Any]:
        """What the model says where each series was measured."""
        return {n: sol[self.observe[n]][self.data.index[n]] for n in self.data.names}

    def weighted(self, values: Mapping[str, Mapping[str, Any]], adjoint: str) -> Any:
        """The residuals for some values of what is free."""
        predicted = self.predicted(self.solution(values, adjoint))
        parts = [self.noise[n].residuals(predicted[n], jnp.asarray(self.data.values[n], predicted[n].dtype)) for n in self.data.names]
        return jnp.concatenate(parts)

    def decayed(self, values: Mapping[str, Mapping[str, Any]]) -> Any:
        """The weights of networks in units of their spread, which is 1/sqrt(weight_decay); empty without weight decay."""
        parts = [float(np.sqrt(d)) * ravel_pytree(values["params"][n])[0] for n, d in self.weight_decay.items()]
        return jnp.concatenate(parts) if parts else jnp.zeros(0, self.z0.dtype)

    def residuals(self, z: Any, adjoint: str = "checkpoint") -> Any:
        """The residuals for the flat vector of an optimiser, and what weight decay adds to them."""
        values = self.values(z)
        residuals = self.weighted(values, adjoint)
        return jnp.concatenate([residuals, self.decayed(values)]) if self.weight_decay else residuals

    def loss(self, z: Any) -> Any:
        """Half the sum of squared residuals."""
        return 0.5 * jnp.sum(self.residuals(z) ** 2)


def _decays(given: float | Mapping[str, float], networks: list[str]) -> dict[str, float]:
    """The weight decay of each free network; those with none are left out."""
    if not isinstance(given, Mapping):
        given = dict.fromkeys(networks, given) if networks or given == 0 else {"": given}
    for name, decay in given.items():
        if name not in networks:
            shown = f"'{name}' is no neural term that is free" if name else "no neural term is free"
            raise FitError(f'weight_decay is for the weights of networks, and {shown}. Name it in free=, or leave weight_decay out: free=[..., "g"].')
        if not (np.ndim(decay) == 0 and np.isfinite(decay) and decay >= 0):
            raise FitError(f"weight_decay={decay} is not a number of at least 0. Write sci.fit(..., weight_decay=1.0).")
    return {n: float(d) for n, d in given.items() if d > 0}


def _observed(model: CompiledSystem, data: Observations, observe: Mapping[str, Any]) -> dict[str, Any]:
    """An expression for each series; by its own name where none is given."""
    found = {}
    for name in data.names:
        if name in observe:
            found[name] = observe[name] if not isinstance(observe[name], str) else _own(model, observe[name])
        else:
            found[name] = _own(model, name)
    for name in observe:
        if name not in found:
            raise NameUnknown(f"observe has '{name}', which the table does not hold. {nearest(name, data.names)}")
    for expression in found.values():
        if not isinstance(expression, str):
            model.known(expression)
    return found


def _own(model: CompiledSystem, name: str) -> str:
    if name not in model.names:
        raise NameUnknown(
            f"The table holds '{name}', and the System has no such quantity. Write observe={{\"{name}\": expression}}. {nearest(name, model.names)}"
        )
    return name


def _noises(data: Observations, noise: Mapping[str, Noise] | Noise | None) -> dict[str, Noise]:
    if noise is None or isinstance(noise, Normal | LogNormal):
        made = {n: noise or Normal() for n in data.names}
    else:
        for name in noise:
            if name not in data.names:
                raise NameUnknown(f"noise has '{name}', which the table does not hold. {nearest(name, data.names)}")
        made = {n: noise.get(n, Normal()) for n in data.names}
    for name, one in made.items():
        if not isinstance(one, Normal | LogNormal):
            raise FitError(f"noise of '{name}' is {one!r}. Write sci.Normal(sigma) or sci.LogNormal(sigma).")
        one.check(name, data.values[name])
    if len({n.sigma is None for n in made.values()}) > 1:
        raise FitError("Some series have a sigma and some have none. Give one for each, or for none of them.")
    return made
