"""Who is connected to whom in a liquid network, and whether a synapse excites or inhibits.

A recipe (`FullyConnected`, `NCP`, `AutoNCP`) becomes a `Wiring` once the number of inputs is known. A `Wiring` is two NumPy
matrices of -1, 0 and 1, and never changes while a network learns.
"""

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np

from ..errors import ModelError
from ..figure import axes


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Wiring:
    """The synapses of a network. Row: from, column: to; 1 excites, -1 inhibits, 0 is no synapse.

    Attributes:
        sensory: (inputs, units), from the inputs to the neurons.
        recurrent: (units, units), among the neurons.
        outputs: the last so many neurons are the motor neurons, which are the output.
        layers: sizes of the groups of neurons in the order in which they come; they add up to the units.
        names: of the layers.

    Made by the `build` of a recipe, or of your own matrices:

    >>> import numpy as np, sciml as sci
    >>> ring = sci.nn.Wiring(np.eye(4)[:2], np.roll(np.eye(4), 1, axis=1), outputs=1)
    >>> ring
    Wiring of 2 inputs and 4 neurons (1 motor), 6 synapses
    """

    sensory: Any
    recurrent: Any
    outputs: Any
    layers: Any = ()
    names: Any = ()

    def __post_init__(self) -> None:
        for name in ("sensory", "recurrent"):
            object.__setattr__(self, name, _signs(name, getattr(self, name)))
        units = self.recurrent.shape[0]
        if self.recurrent.shape != (units, units) or self.sensory.shape[1] != units or units == 0 or self.sensory.shape[0] == 0:
            raise ModelError(
                f"sensory has shape {self.sensory.shape} and recurrent {self.recurrent.shape}: "
                "give (inputs, units) and (units, units), row from, column to."
            )
        _within("outputs", self.outputs, 1, units, "there are {most} neurons")
        object.__setattr__(self, "layers", tuple(self.layers) or (units,))
        object.__setattr__(self, "names", tuple(self.names) or tuple(f"layer {i + 1}" for i in range(len(self.layers))))
        if sum(self.layers) != units or len(self.names) != len(self.layers):
            raise ModelError(
                f"layers={self.layers} named {self.names} do not divide {units} neurons: give sizes that add up to {units}, and a name for each."
            )

    @property
    def inputs(self) -> int:
        """How many inputs there are."""
        return self.sensory.shape[0]

    @property
    def units(self) -> int:
        """How many neurons there are."""
        return self.recurrent.shape[0]

    @property
    def synapses(self) -> int:
        """How many synapses there are, those of the inputs included."""
        return int(np.count_nonzero(self.sensory) + np.count_nonzero(self.recurrent))

    @property
    def groups(self) -> list[range]:
        """The neurons of each layer."""
        ends = np.cumsum(self.layers)
        return [range(int(end) - size, int(end)) for size, end in zip(self.layers, ends, strict=True)]

    def build(self, inputs: Any) -> "Wiring":
        """Itself, if it is for so many inputs."""
        if inputs != self.inputs:
            raise ModelError(f"This wiring is for {self.inputs} inputs, and the layer has {inputs}. Make the layer with inputs={self.inputs}.")
        return self

    def plot(self, ax: Any = None) -> Any:
        """Draws it from left to right: inputs, then each layer. Blue excites, red inhibits. Returns the axes.

        >>> import sciml as sci
        >>> ax = sci.nn.AutoNCP(16, 3).build(5).plot()
        """
        return draw(self, ax)

    def __repr__(self) -> str:
        return f"Wiring of {self.inputs} inputs and {self.units} neurons ({self.outputs} motor), {self.synapses} synapses"

    @functools.cached_property
    def _digest(self) -> str:
        content = (self.sensory.shape, self.sensory.tobytes(), self.recurrent.tobytes(), self.outputs, self.layers, self.names)
        return hashlib.sha256(repr(content).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wiring) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)


@dataclasses.dataclass(frozen=True)
class FullyConnected:
    """Every neuron has a synapse to every neuron; two of three excite, one inhibits, drawn at random.

    Args:
        units: how many neurons.
        outputs: the last so many are the output; all of them if left out.
        self_connections: whether a neuron has a synapse to itself.
        seed: of the polarities.

    Raises:
        ModelError: more outputs than neurons.

    >>> import sciml as sci
    >>> sci.nn.FullyConnected(8).build(3)
    Wiring of 3 inputs and 8 neurons (8 motor), 88 synapses
    """

    units: Any
    outputs: Any = None
    self_connections: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        _within("units", self.units, 1)
        if self.outputs is not None:
            _within("outputs", self.outputs, 1, self.units, "there are {most} neurons")

    def build(self, inputs: Any) -> Wiring:
        """The wiring for so many inputs."""
        _within("inputs", inputs, 1)
        rng = np.random.default_rng(self.seed)
        polarity = lambda *shape: rng.choice(np.array([-1, 1, 1], np.int8), shape)  # noqa: E731
        recurrent, sensory = polarity(self.units, self.units), polarity(inputs, self.units)
        if not self.self_connections:
            np.fill_diagonal(recurrent, 0)
        return Wiring(sensory, recurrent, self.outputs or self.units, (self.units,), ("neurons",))


@dataclasses.dataclass(frozen=True)
class NCP:
    """A neural circuit policy: inputs, inter neurons, command neurons, motor neurons, with few synapses (Lechner et al. 2020,
    doi:10.1038/s42256-020-00237-3).

    Inputs reach the inter neurons only, these the command neurons only, which reach one another and the motor neurons. Who is connected and
    with which polarity is drawn at random. A neuron that the draw left without a synapse to it (a command neuron: from it to a motor neuron)
    gets as many as the others have on average, so that nothing is cut off.

    Args:
        inter: inter neurons.
        command: command neurons.
        motor: motor neurons, the output.
        sensory_fanout: synapses from each input to inter neurons.
        inter_fanout: synapses from each inter neuron to command neurons.
        recurrent_command: synapses among the command neurons, all together.
        motor_fanin: synapses from command neurons to each motor neuron.
        seed: of the draw.

    Raises:
        ModelError: a count that is larger than there are neurons.

    >>> import sciml as sci
    >>> sci.nn.NCP(8, 6, 2, sensory_fanout=4, inter_fanout=3, recurrent_command=6, motor_fanin=4).build(3)
    Wiring of 3 inputs and 16 neurons (2 motor), 54 synapses
    """

    inter: Any
    command: Any
    motor: Any
    sensory_fanout: Any = dataclasses.field(kw_only=True)
    inter_fanout: Any = dataclasses.field(kw_only=True)
    recurrent_command: Any = dataclasses.field(kw_only=True)
    motor_fanin: Any = dataclasses.field(kw_only=True)
    seed: int = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("inter", "command", "motor"):
            _within(name, getattr(self, name), 1)
        _within("sensory_fanout", self.sensory_fanout, 1, self.inter, "there are {most} inter neurons")
        _within("inter_fanout", self.inter_fanout, 1, self.command, "there are {most} command neurons")
        _within("motor_fanin", self.motor_fanin, 1, self.command, "there are {most} command neurons")
        _within("recurrent_command", self.recurrent_command, 0, self.command**2, f"{self.command} command neurons have {{most}} pairs")

    @property
    def units(self) -> int:
        """How many neurons there are."""
        return self.inter + self.command + self.motor

    @property
    def outputs(self) -> int:
        """How many of them are motor neurons."""
        return self.motor

    def build(self, inputs: Any) -> Wiring:
        """The wiring for so many inputs."""
        _within("inputs", inputs, 1)
        rng = np.random.default_rng(self.seed)
        to_inter = _reached(_fan(rng, inputs, self.inter, self.sensory_fanout), rng)
        to_command = _reached(_fan(rng, self.inter, self.command, self.inter_fanout), rng)
        among = np.zeros(self.command**2, bool)
        among[rng.choice(self.command**2, self.recurrent_command, replace=False)] = True
        to_motor = _reached(_fan(rng, self.motor, self.command, self.motor_fanin), rng).T  # every command neuron has a motor neuron
        recurrent = np.zeros((self.units, self.units), bool)
        i, c = self.inter, self.inter + self.command
        recurrent[:i, i:c], recurrent[i:c, i:c], recurrent[i:c, c:] = to_command, among.reshape(self.command, -1), to_motor
        sensory = np.zeros((inputs, self.units), bool)
        sensory[:, :i] = to_inter
        signed = lambda mask: mask * rng.choice(np.array([-1, 1], np.int8), mask.shape)  # noqa: E731
        return Wiring(signed(sensory), signed(recurrent), self.motor, (self.inter, self.command, self.motor), ("inter", "command", "motor"))


def AutoNCP(units: Any, outputs: Any, sparsity: Any = 0.5, seed: int = 0) -> NCP:
    """An `NCP` of so many neurons: of those that are not motor neurons 2 in 5 command, the others are inter neurons.

    Args:
        units: all neurons; at least `outputs` + 2.
        outputs: the motor neurons.
        sparsity: the part of the possible synapses that is left out, between 0 and 1.
        seed: of the draw.

    Raises:
        ModelError: too few neurons, or a sparsity outside 0 to 1.

    >>> import sciml as sci
    >>> wiring = sci.nn.AutoNCP(32, outputs=4)
    >>> wiring.inter, wiring.command, wiring.motor
    (17, 11, 4)
    """
    _within("outputs", outputs, 1)
    _within("units", units, 1)
    if units < outputs + 2:
        raise ModelError(
            f"AutoNCP(units={units}, outputs={outputs}) leaves no inter or command neuron beside the motor neurons. "
            f"Write units={outputs + 2} or more."
        )
    if not 0 <= sparsity < 1:
        raise ModelError(f"sparsity={sparsity!r}: give the part of the synapses to leave out, at least 0 and below 1, such as sparsity=0.5.")
    command = max(int(0.4 * (units - outputs)), 1)
    inter = units - outputs - command
    some = lambda n, most: min(max(int(n * (1 - sparsity)), 1), most)  # noqa: E731
    return NCP(
        inter, command, outputs, sensory_fanout=some(inter, inter), inter_fanout=some(command, command),
        recurrent_command=some(2 * command, command**2), motor_fanin=some(command, command), seed=seed,
    )  # fmt: skip


def wired(units_or_wiring: Any, inputs: Any) -> Wiring:
    """What a layer was given, as a `Wiring` for its inputs."""
    _within("inputs", inputs, 1)
    if isinstance(units_or_wiring, int | np.integer) and not isinstance(units_or_wiring, bool):
        return FullyConnected(int(units_or_wiring)).build(inputs)
    if not isinstance(units_or_wiring, Wiring | FullyConnected | NCP):
        raise ModelError(
            f"{units_or_wiring!r} is no wiring. Give a number of neurons such as 32, or sci.nn.AutoNCP(32, outputs=4), sci.nn.NCP(...), "
            "sci.nn.FullyConnected(32), sci.nn.Wiring(sensory, recurrent, outputs)."
        )
    return units_or_wiring.build(inputs)


def _fan(rng: np.random.Generator, sources: int, targets: int, fanout: int) -> np.ndarray:
    """(sources, targets): each source has `fanout` targets."""
    order = rng.permuted(np.tile(np.arange(targets), (sources, 1)), axis=1)
    mask = np.zeros((sources, targets), bool)
    np.put_along_axis(mask, order[:, :fanout], True, axis=1)
    return mask


def _reached(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Targets without a source get as many as all have on average, at least one."""
    sources, targets = mask.shape
    mean = min(max(round(mask.sum() / targets), 1), sources)
    for target in np.flatnonzero(~mask.any(axis=0)):
        mask[rng.choice(sources, mean, replace=False), target] = True
    return mask


def _signs(name: str, matrix: Any) -> np.ndarray:
    found = np.asarray(matrix)
    if found.ndim != 2 or not np.isin(found, (-1, 0, 1)).all():
        raise ModelError(f"{name} is not a matrix of -1, 0 and 1: give 1 for a synapse that excites, -1 for one that inhibits, 0 for none.")
    found = found.astype(np.int8)
    found.setflags(write=False)
    return found


def _within(name: str, value: Any, least: int, most: int | None = None, why: str = "") -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ModelError(f"{name}={value!r}: give a whole number, {least} or more.")
    if most is not None and value > most:
        raise ModelError(f"{name}={value} is too many: {why.format(most=most)}. Write {name}={most} or less.")


# -- the picture ------------------------------------------------------------------------

_EXCITES, _INHIBITS = "#3b6fb6", "#c8553d"


def draw(wiring: Wiring, ax: Any = None) -> Any:
    """Columns of neurons, synapses as curves from the left to the right; within a layer they bulge to the side."""
    from matplotlib.lines import Line2D

    if ax is None:
        ax = axes()
    columns = [("inputs", wiring.inputs), *zip(wiring.names, wiring.layers, strict=True)]
    places = [np.stack([np.full(n, float(i)), _spread(n)], axis=1) for i, (_, n) in enumerate(columns)]
    neurons = np.concatenate(places[1:])
    layer = np.repeat(np.arange(len(wiring.layers)), wiring.layers)
    alpha = float(np.clip(12 / np.sqrt(wiring.synapses) / len(columns) ** 0.5, 0.08, 0.75))
    for source, target in np.argwhere(wiring.sensory):
        _curve(ax, places[0][source], neurons[target], False, wiring.sensory[source, target], alpha)
    for source, target in np.argwhere(wiring.recurrent):
        _curve(ax, neurons[source], neurons[target], bool(layer[source] == layer[target]), wiring.recurrent[source, target], alpha)
    for (name, n), at in zip(columns, places, strict=True):
        ax.plot(*at.T, "o", ms=float(np.clip(120 / n, 3.5, 9)), mfc="white" if name == "inputs" else "#333333", mec="#333333", mew=1, zorder=3)
        ax.text(at[0, 0], 1.09, f"{name}\n{n}", ha="center", va="bottom", fontsize=9)
    handles = [Line2D([], [], color=c, lw=1.5, label=text) for c, text in ((_EXCITES, "excites"), (_INHIBITS, "inhibits"))]
    ax.legend(handles=handles, frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2)
    ax.set(xlim=(-0.3, len(columns) - 0.45), ylim=(-1.15, 1.3))
    ax.set_axis_off()
    return ax


def _spread(n: int) -> np.ndarray:
    """Heights of n neurons; few of them stay together."""
    return np.linspace(1, -1, n) * min(1.0, 0.25 + 0.075 * n) if n > 1 else np.zeros(1)


def _curve(ax: Any, start: Any, end: Any, within: bool, polarity: Any, alpha: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    (x0, y0), (x1, y1) = start, end
    if within:
        out = 0.12 + 0.18 * abs(y1 - y0)
        lift = 0.05 if y0 == y1 else 0.0  # a synapse of a neuron to itself is a small loop
        points = [(x0, y0), (x0 + out, y0 + lift), (x1 + out, y1 - lift), (x1, y1)]
    else:
        points = [(x0, y0), (0.5 * (x0 + x1), y0), (0.5 * (x0 + x1), y1), (x1, y1)]
    path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    ax.add_patch(PathPatch(path, fill=False, ec=_EXCITES if polarity > 0 else _INHIBITS, alpha=alpha, lw=0.9, capstyle="round"))
