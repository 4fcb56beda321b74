"""The catalogue: every ready model is there, cites its source, and compiles."""

import inspect

import pytest
from model_cases import ODES, SDES, compiled

import sciml as sci
import sciml_models
from sciml_models import MODELS


def test_all_models_are_covered_here():
    assert sorted([*ODES, *SDES]) == sorted(MODELS)
    assert len(MODELS) >= 12


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_a_function_under_its_own_name(name):
    assert getattr(sciml_models, name) is MODELS[name].make
    assert inspect.getmodule(MODELS[name].make).__name__ == f"sciml_models.{name}"


@pytest.mark.parametrize("name", MODELS)
def test_declares_and_compiles(name):
    system, known = MODELS[name].make(), MODELS[name]
    model = compiled(name)
    assert system == model.system  # the same declaration every time
    assert system.name == name
    assert any(year in system.description for year in map(str, range(1920, 2030)))  # a citation
    assert system.description == inspect.getmodule(known.make).CITATION
    assert known.t_span[1] > known.t_span[0]
    if name in ODES:
        assert set(model.layout.states) <= set(known.reference) <= {*model.layout.states, *model.definitions}
    found = model.open_states  # by the algebraic equations
    assert all(p.default is not None or p.name in found for p in (*model.layout.states.values(), *model.layout.params.values()))


def test_kinds_of_noise():
    kinds = {name: compiled(name).noise.kind for name in MODELS}
    assert kinds.pop("ornstein_uhlenbeck") == "additive"
    assert kinds.pop("stochastic_oscillator") == "general"
    assert set(kinds.values()) == {"none"}


def test_a_reaction_network_is_lowered_as_groups():
    assert "groups of equally shaped terms" in compiled("pollution").explain()


def test_derived_units_are_checked():
    system = MODELS["double_pendulum"].make()
    theta, length = system.symbols["theta1"], system.symbols["l1"]
    with pytest.raises(sci.errors.UnitError):
        system.replace(observed={"nonsense": theta + length})
