"""Several trainings of one System from different weights: how far their results differ says how far they can be trusted.

    mean, spread    of fields, quantities and free parameters over the members that did not fail
    resample=True   each member gets measurements drawn anew from the rows of the table, with repetition (Efron 1979)

Networks that start elsewhere end elsewhere where equations and data do not decide (Lakshminarayanan, Pritzel and Blundell 2017).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
import pandas as pd

from ..errors import FitError
from ..system import System
from . import pictures
from .conserve import Conserved, conserve
from .data import resampled
from .fit import fit
from .solution import NetworkSolution

if TYPE_CHECKING:
    import xarray as xr


class NetworkEnsemble:
    """Networks that solve one System, trained from different weights.

    `runs[u]` has the shape (members, time, *space); `runs({"t": ..., "x": ...})[u]` has (members, *points).

    Attributes:
        members: the solutions; those whose training failed are left out.
        failed: how each of the others ended, in words.
    """

    def __init__(self, members: tuple[NetworkSolution, ...], failed: tuple[str, ...]):
        self.members, self.failed = members, failed

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.stack([np.asarray(m[key]) for m in self.members])

    def __call__(self, points: Any) -> "_AtPoints":
        """The members at points, as for a `NetworkSolution`."""
        return _AtPoints(self, points)

    def mean(self, key: Any, points: Any = None) -> np.ndarray:
        """The mean of a quantity over the members, on the grid or at points."""
        return (self[key] if points is None else self(points)[key]).mean(axis=0)

    def std(self, key: Any, points: Any = None) -> np.ndarray:
        """The standard deviation of a quantity over the members, on the grid or at points."""
        return (self[key] if points is None else self(points)[key]).std(axis=0, ddof=1)

    @property
    def params(self) -> pd.DataFrame:
        """Free parameters: a row for each, with mean and standard deviation over the members. Components of an array have rows of their own."""
        values = pd.DataFrame([_numbers(m.params) for m in self.members])
        return pd.DataFrame({"mean": values.mean(), "std": values.std()})

    @property
    def fields(self) -> dict[str, Any]:
        """The unknowns by name."""
        return self.members[0].fields

    def conserve(self, *laws: Any) -> Conserved:
        """The mean of the members, corrected so that conservation laws hold, most where the members differ; see `NetworkSolution.conserve`."""
        names = self.fields
        values = {n: self[n] for n in names}
        return conserve(self.members[0], laws, {n: v.mean(axis=0) for n, v in values.items()}, {n: v.var(axis=0, ddof=1) for n, v in values.items()})

    def to_xarray(self) -> "xr.Dataset":
        """A Dataset with the dimension `member` before those of `NetworkSolution.to_xarray()`."""
        import xarray as xr

        return xr.concat([m.to_xarray() for m in self.members], pd.RangeIndex(len(self), name="member"), combine_attrs="override")

    def plot(self, *what: Any, at: Any = None, **style: Any) -> Any:
        """Mean and band of two standard deviations.

        Args:
            what: quantities of the time alone, drawn over it, or fields over one coordinate; all unknowns if nothing is named.
            at: times of the profiles of fields; start, middle and end if left out.
            style: goes to matplotlib's lines.

        Returns:
            The matplotlib axes; an array of them where there are several.
        """
        return pictures.plot_bands(self, what or tuple(self.fields), at, style)

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"NetworkEnsemble of '{self.members[0].system.name}': {len(self)} members{failed}"


class _AtPoints:
    def __init__(self, runs: NetworkEnsemble, points: Any):
        self.runs, self.points = runs, points

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.stack([np.asarray(m(self.points)[key]) for m in self.runs.members])


def ensemble(
    system: System,
    network: Callable[[Any], Any] | None = None,
    *,
    count: int = 5,
    resample: bool = False,
    data: Any = None,
    key: Any = None,
    **options: Any,
) -> NetworkEnsemble:
    """Trains several networks for one System, each from weights and points of its own.

    Args:
        system: as for `fit`.
        network: from a key to a network: `lambda key: sci.pinn.mlp(system, key=key)`. What `fit` takes by itself if left out.
        count: how many, at least 2.
        resample: draw the rows of the data anew for each, with repetition, so that the spread shows their noise, too.
        data: as for `fit`.
        key: of all that is random; `jax.random.key(0)` if left out.
        options: of `fit`.

    Returns:
        The members with their mean and spread.

    Raises:
        FitError: fewer than 2 members, or fewer than 2 that did not fail; a network in place of a function that makes one.

    >>> import sciml as sci
    >>> x = sci.space("x", 0, 1)
    >>> u = sci.fields("u", x)
    >>> poisson = sci.System([sci.eq(u.diff(x, 2), 1)], boundary={x.left: sci.eq(u, 0), x.right: sci.eq(u, 0)})
    >>> runs = sci.pinn.ensemble(poisson, count=2, points=10, train=2, progress=False)
    >>> runs[u].shape, runs.std(u).shape
    ((2, 201), (201,))
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise FitError(f"count={count!r}: an ensemble has a whole number of members, at least 2.")
    if network is not None and (not callable(network) or isinstance(network, eqx.Module)):
        raise FitError("network= of an ensemble is a function from a key to a network: lambda key: sci.pinn.mlp(system, key=key).")
    if "checkpoint" in options or "resume" in options:
        raise FitError("An ensemble writes no checkpoint. Leave out checkpoint= and resume=, or train the members by sci.pinn.fit.")
    if resample and data is None:
        raise FitError("resample=True draws rows of the data, and there are none: data=table.")
    members, failed = [], []
    for own in jax.random.split(jax.random.key(0) if key is None else key, count):
        making, training, drawing = jax.random.split(own, 3)
        made = None if network is None else network(making)
        rows = data if not resample else resampled(data, drawing)
        net = fit(system, made, data=rows, key=training, **options)
        if _failed(net):
            failed.append(net.reason)
        else:
            members.append(net)
    if len(members) < 2:
        raise FitError(f"{len(failed)} of {count} trainings failed, so there is no ensemble. The last one: {failed[-1]}.")
    return NetworkEnsemble(tuple(members), tuple(failed))


def _failed(net: NetworkSolution) -> bool:
    """Whether a training ended in nothing that can be used."""
    finite = all(bool(np.isfinite(leaf).all()) for leaf in jax.tree.leaves(net))
    checked = net.history["checked"].dropna() if "checked" in net.history else pd.Series(dtype=float)
    return not finite or (len(checked) > 0 and not np.isfinite(checked.min())) or net.reason.startswith("diverged")


def _numbers(params: dict[str, Any]) -> dict[str, float]:
    """Free parameters by name, components of arrays by `name[i]`; networks left out."""
    found: dict[str, float] = {}
    for name, value in params.items():
        if isinstance(value, float):
            found[name] = value
        elif isinstance(value, np.ndarray):
            found.update({f"{name}[{','.join(map(str, i))}]": float(value[i]) for i in np.ndindex(*value.shape)})
    return found
