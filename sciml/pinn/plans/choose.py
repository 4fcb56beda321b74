"""Which pass for which operators: the cheapest exact one, unless the user asked or only an estimate is affordable."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import FitError, nearest
from ...passes import Along, Combination, Diagonal, Gradient, Laplacian, Partial
from .methods import Method, Nested, Request, Reverse, Setting, Taylor, Value, is_first, order_of
from .sample import Dense, Sparse
from .sums import Directions, Gram, Push, Radial, Sampled

METHODS = ("auto", "reverse", "nested", "taylor", "gram", "directions")
SAMPLES = 16
"""Random directions, where "auto" takes them."""
BUDGET = 8.0
"""How many times their cost an exact method may have."""

Choice = tuple[Method, str]
"""A pass, and why."""


def asked_for(derivatives: Any, term: str) -> Any:
    """The method that the user asked for, if there is such a method."""
    if isinstance(derivatives, Sparse | Dense):
        return derivatives
    if isinstance(derivatives, type) and issubclass(derivatives, Sparse | Dense):
        raise FitError(
            f"derivatives=sci.pinn.{derivatives.__name__} does not say how many directions: derivatives=sci.pinn.{derivatives.__name__}(16)."
        )
    if derivatives not in METHODS:
        hint = nearest(str(derivatives), METHODS) if isinstance(derivatives, str) else f"There are: {', '.join(METHODS)}, sci.pinn.Sparse(16)."
        raise FitError(f"There is no method derivatives={derivatives!r}{_of(term)}. {hint}")
    return derivatives


def choose(requests: list[Request], asked: Any, setting: Setting, term: str) -> list[Choice]:
    """Passes for all requests."""
    values = tuple(r for r in requests if not order_of(r.operator))
    others = [r for r in requests if order_of(r.operator)]
    if asked in ("reverse", "nested"):
        kind = Reverse if asked == "reverse" else Nested
        return _with_values([(kind(tuple(others)), "asked for")] if others else [], values)
    gradients = [r for r in others if isinstance(r.operator, Gradient)]
    if gradients:  # those of the same pass cost nothing
        gradients = [r for r in others if is_first(r.operator)]
    others = [r for r in others if r not in gradients]
    found = _scalars(tuple(r for r in others if isinstance(r.operator, Partial | Combination)), asked, setting)
    if gradients:
        found.append((Reverse(tuple(gradients)), "all first derivatives at once"))
    sums = [r for r in others if isinstance(r.operator, Along | Diagonal | Laplacian)]
    return _with_values(found + [_sum(group, asked, setting, term) for group in _alike(sums)], values)


def _with_values(chosen: list[Choice], values: tuple[Request, ...]) -> list[Choice]:
    """The functions themselves come along with a pass that has them anyway."""
    for i, (one, why) in enumerate(chosen):
        if values and one.has_values:
            return [*chosen[:i], (dataclasses.replace(one, requests=one.requests + values), why), *chosen[i + 1 :]]
    return [(Value(values), "no derivative"), *chosen] if values else chosen


def _scalars(requests: tuple[Request, ...], asked: Any, setting: Setting) -> list[Choice]:
    """Derivatives by scalar coordinates."""
    if not requests:
        return []
    if asked == "taylor":
        return [(Taylor(requests), "asked for")]
    options: list[Method] = [Taylor(requests)]
    if all(is_first(r.operator) for r in requests):
        options.append(Reverse(requests))
    return [_cheapest(options, setting)]


def _sum(group: tuple[Request, ...], asked: Any, setting: Setting, term: str) -> Choice:
    """A sum over the entries of a vector coordinate, for some functions."""
    operator = group[0].operator
    if isinstance(operator, Along):
        radial = Radial(group)
        if operator.coordinate in setting.unshifted and radial.multiple is not None:
            return radial, "one direction, known behind the first layer"
        return Push(group), "one direction"
    if isinstance(asked, Sparse | Dense):
        return _sampled(group, asked, setting, term)
    if asked == "gram" and isinstance(operator, Laplacian):
        if operator.coordinate not in setting.linear:
            raise FitError(
                f'derivatives="gram"{_of(term)}: the network does not begin with a matrix product of {operator.coordinate}, so that its '
                f'Laplacian has no short form. Use sci.pinn.mlp(system, width=128, depth=4), or derivatives="directions".'
            )
        return Gram(group), "asked for"
    if asked in ("directions", "taylor"):
        return Directions(group), "asked for"
    options: list[Method] = [Directions(group)]
    if isinstance(operator, Laplacian) and operator.coordinate in setting.linear:
        options.append(Gram(group))
    exact, why = _cheapest(options, setting)
    by = Dense(SAMPLES) if isinstance(operator, Laplacian) and operator.power == 2 else Sparse(SAMPLES)
    estimate = Sampled(group, by)
    base = setting.work.first  # whatever follows, the inputs go through the first layer
    ratio = (exact.cost(setting) + base) / (estimate.cost(setting) + base)
    if ratio > BUDGET:
        return estimate, f"the best exact method, {exact.name}, costs {ratio:.3g} times as much"
    return exact, f"{why}; {ratio:.2g} times {SAMPLES} random directions"


def _sampled(group: tuple[Request, ...], by: Sparse | Dense, setting: Setting, term: str) -> Choice:
    operator = group[0].operator
    name = f"derivatives=sci.pinn.{by}"
    if isinstance(by, Dense) and isinstance(operator, Diagonal):
        raise FitError(
            f"{name}{_of(term)} estimates Laplacians, not {described(operator)}: with random signs or normal numbers other entries would "
            f"come in. Write derivatives=sci.pinn.Sparse({by.n})."
        )
    if isinstance(by, Sparse) and isinstance(operator, Laplacian) and operator.power == 2:
        raise FitError(f"{name}{_of(term)} cannot estimate {described(operator)}: it mixes entries. Write derivatives=sci.pinn.Dense({by.n}).")
    if isinstance(by, Sparse) and by.n >= setting.dims[operator.coordinate]:
        return Directions(group), f"{by} takes all {setting.dims[operator.coordinate]} entries: exact"
    return Sampled(group, by), "asked for"


def _cheapest(options: list[Method], setting: Setting) -> Choice:
    """The method of least cost, the first of equals."""
    costs = [o.cost(setting) for o in options]
    best = options[costs.index(min(costs))]
    least = max(min(costs), 1.0)  # a network may cost nothing
    others = [f"{o.name} {c / least:.2g}x" for o, c in zip(options, costs, strict=True) if o is not best]
    return best, f"cheapest ({', '.join(others)})" if others else "exact"


def _alike(requests: list[Request]) -> Iterator[tuple[Request, ...]]:
    """Requests that differ only in the function: one pass does for all."""
    groups: dict[Any, list[Request]] = {}
    for r in requests:
        o = r.operator
        content = (type(o), o.coordinate, order_of(o), getattr(o, "weight", None), getattr(o, "power", None))
        groups.setdefault(content, []).append(r)
    return (tuple(g) for g in groups.values())


def refuse_bias(chosen: list[Choice], linear: Mapping[str, bool], setting: Setting, term: str) -> None:
    """An estimate inside a nonlinear function is biased, whatever is averaged."""
    for one, _ in chosen:
        for r in one.estimated:
            if not linear.get(r.key, True):
                exact = '"gram"' if isinstance(r.operator, Laplacian) and r.operator.coordinate in setting.linear else '"directions"'
                raise FitError(
                    f"The residual{_of(term)} is not linear in {described(r.operator)}, which {one.name} only estimates: the mean of the residual "
                    f"would be wrong. Ask for the exact derivative: derivatives={exact}."
                )


def described(operator: Any) -> str:
    """An operator as one would write it: "u_txx", "laplacian(u, X)"."""
    match operator:
        case Partial(of, orders):
            return of + ("_" + "".join(name * times for name, times in orders) if orders else "")
        case Combination(of, parts):
            names = [f"{'' if weight == 1 else f'{weight}*'}{described(Partial(of, orders))}" for orders, weight in parts]
            return " + ".join(names[:4]) + (" + ..." if len(names) > 4 else "")
        case Gradient(of, coordinate):
            return f"grad({of}, {coordinate})"
        case Along(of, coordinate, weight):
            return f"sum({_weighted(weight)}d{of}/d{coordinate}_i)"
        case Diagonal(of, coordinate, order, weight):
            return f"sum({_weighted(weight)}d^{order} {of}/d{coordinate}_i^{order})"
        case Laplacian(of, coordinate, power):
            return f"{'laplacian' if power == 1 else 'biharmonic'}({of}, {coordinate})"
    return str(operator)


def _weighted(weight: Any) -> str:
    text = "" if weight == 1 else f"{weight}*"
    return text if len(text) <= 24 else "w_i*"


def _of(term: str) -> str:
    return f" of '{term}'" if term else ""
