"""Wirings: how many synapses there are, none where none may be, the same for the same seed, and a picture."""

import dataclasses
import pickle

import numpy as np
import pytest

import sciml as sci
from sciml.errors import ModelError

POLICY = sci.nn.NCP(10, 8, 3, sensory_fanout=6, inter_fanout=5, recurrent_command=9, motor_fanin=6, seed=4)


def blocks(wiring):
    """Where synapses are, between layers: {(from, to): mask}; "inputs" is a layer too."""
    groups = dict(zip(wiring.names, wiring.groups, strict=True))
    found = {(a, b): wiring.recurrent[np.ix_(groups[a], groups[b])] != 0 for a in groups for b in groups}
    return found | {("inputs", b): wiring.sensory[:, groups[b]] != 0 for b in groups}


def test_policy_has_the_counts_that_it_was_asked_for():
    wiring = POLICY.build(20)  # so many that the draw reaches all neurons, and nothing is added
    found = blocks(wiring)
    assert (found["inputs", "inter"].sum(axis=1) == 6).all()
    assert (found["inter", "command"].sum(axis=1) == 5).all()
    assert found["command", "command"].sum() == 9
    assert (found["command", "motor"].sum(axis=0) >= 6).all()
    assert wiring.synapses == 20 * 6 + 10 * 5 + 9 + found["command", "motor"].sum()
    assert (wiring.inputs, wiring.units, wiring.outputs, wiring.layers) == (20, 21, 3, (10, 8, 3))


@pytest.mark.parametrize("seed", range(5))
def test_policy_has_no_other_connections(seed):
    allowed = {("inputs", "inter"), ("inter", "command"), ("command", "command"), ("command", "motor")}
    for pair, mask in blocks(dataclasses.replace(POLICY, seed=seed).build(2)).items():
        assert mask.any() == (pair in allowed), pair


@pytest.mark.parametrize("seed", range(20))
def test_policy_cuts_nothing_off(seed):
    found = blocks(sci.nn.NCP(9, 7, 2, sensory_fanout=1, inter_fanout=1, recurrent_command=0, motor_fanin=1, seed=seed).build(1))
    assert found["inputs", "inter"].any(axis=0).all()  # every inter neuron hears an input
    assert found["inter", "command"].any(axis=0).all()
    assert found["command", "motor"].any(axis=0).all()
    assert found["command", "motor"].any(axis=1).all()  # every command neuron reaches a motor neuron


def test_a_seed_gives_one_wiring():
    a, b, other = POLICY.build(4), POLICY.build(4), dataclasses.replace(POLICY, seed=5).build(4)
    assert a == b and hash(a) == hash(b)
    assert a != other
    assert pickle.loads(pickle.dumps(a)) == a


def test_both_polarities_are_drawn():
    signs = np.concatenate([POLICY.build(30).sensory.ravel(), POLICY.build(30).recurrent.ravel()])
    assert 0.4 < (signs[signs != 0] > 0).mean() < 0.6
    dense = sci.nn.FullyConnected(40, seed=1).build(10)
    assert 0.6 < (dense.recurrent > 0).mean() < 0.73
    assert (dense.recurrent != 0).all() and (dense.sensory != 0).all()


def test_fully_connected():
    wiring = sci.nn.FullyConnected(6, outputs=2, self_connections=False).build(3)
    assert wiring.synapses == 3 * 6 + 6 * 5
    assert wiring.outputs == 2
    assert sci.nn.FullyConnected(6).build(3).outputs == 6


@pytest.mark.parametrize("units, outputs, sparsity", [(3, 1, 0.5), (32, 4, 0.5), (64, 9, 0.8), (20, 2, 0.0)])
def test_auto_divides_the_neurons(units, outputs, sparsity):
    policy = sci.nn.AutoNCP(units, outputs, sparsity)
    assert policy.units == units and policy.outputs == outputs
    assert policy.command == max(int(0.4 * (units - outputs)), 1)
    wiring = policy.build(5)
    if sparsity == 0:
        found = blocks(wiring)
        assert all(found[pair].all() for pair in (("inputs", "inter"), ("inter", "command"), ("command", "motor")))


def test_sparser_has_fewer_synapses():
    counts = [sci.nn.AutoNCP(48, 4, s).build(8).synapses for s in (0.0, 0.3, 0.6, 0.9)]
    assert counts == sorted(counts, reverse=True)


def test_own_matrices():
    wiring = sci.nn.Wiring([[1, 0, -1]], np.roll(np.eye(3), 1, axis=1), outputs=1)
    assert wiring.synapses == 5 and wiring.layers == (3,)
    assert wiring.build(1) is wiring
    with pytest.raises(ValueError, match="read-only"):
        wiring.recurrent[0, 0] = 1


def test_plot_draws_every_synapse():
    wiring = POLICY.build(4)
    ax = wiring.plot()
    assert len(ax.patches) == wiring.synapses
    assert [text.get_text().split("\n")[0] for text in ax.texts] == ["inputs", "inter", "command", "motor"]
    assert sci.nn.FullyConnected(4).build(1).plot(ax=ax) is ax


def policy(**change):
    return dataclasses.replace(POLICY, **change)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: policy(sensory_fanout=11), "sensory_fanout=11 is too many: there are 10 inter neurons. Write sensory_fanout=10 or less"),
        (lambda: policy(inter_fanout=9), "inter_fanout=9 is too many: there are 8 command neurons"),
        (lambda: policy(motor_fanin=20), "motor_fanin=20 is too many: there are 8 command neurons"),
        (lambda: policy(recurrent_command=65), "recurrent_command=65 is too many: 8 command neurons have 64 pairs"),
        (lambda: policy(inter=0), "inter=0: give a whole number, 1 or more"),
        (lambda: sci.nn.AutoNCP(5, 4), "AutoNCP(units=5, outputs=4) leaves no inter or command neuron beside the motor neurons. Write units=6"),
        (lambda: sci.nn.AutoNCP(16, 4, sparsity=1.0), "sparsity=1.0: give the part of the synapses to leave out, at least 0 and below 1"),
        (lambda: sci.nn.FullyConnected(4, outputs=5), "outputs=5 is too many: there are 4 neurons. Write outputs=4 or less"),
        (lambda: POLICY.build(0), "inputs=0: give a whole number, 1 or more"),
        (lambda: POLICY.build(3).build(4), "This wiring is for 3 inputs, and the layer has 4. Make the layer with inputs=3"),
        (lambda: sci.nn.Wiring([[2]], [[1]], 1), "sensory is not a matrix of -1, 0 and 1"),
        (lambda: sci.nn.Wiring(np.eye(2), np.eye(3), 1), "sensory has shape (2, 2) and recurrent (3, 3): give (inputs, units) and (units, units)"),
        (lambda: sci.nn.Wiring([[1, 1]], np.eye(2), 1, (1, 2)), "do not divide 2 neurons: give sizes that add up to 2"),
        (lambda: sci.nn.LTC(2, "dense", key=None), "'dense' is no wiring. Give a number of neurons such as 32, or sci.nn.AutoNCP(32, outputs=4)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ModelError) as caught:
        make()
    assert message in str(caught.value)
