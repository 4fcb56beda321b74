"""Bounded values and unbounded numbers are each other's inverse."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from sciml.errors import FitError
from sciml.optimize import transform_of

BOUNDS = [(None, None), (0.0, None), (None, 2.0), (-1.0, 3.0), (1e-3, 1e2)]


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("value", [0.01, 0.5, 1.9])
def test_there_and_back(bounds, value, close):
    transform = transform_of("k", value, bounds, None)
    close(transform.value(transform.free(value)), value, rtol=1e-6)


@given(st.floats(-30, 30), st.sampled_from(BOUNDS))
def test_every_number_lands_inside_the_bounds(z, bounds):
    low, high = bounds
    value = float(transform_of("k", 0.5, bounds, None).value(np.asarray(z)))
    assert (low is None or value >= low - 1e-6 * abs(low)) and (high is None or value <= high * (1 + 1e-6))


def test_wide_positive_bounds_and_log_scale_work_on_the_logarithm(close):
    assert transform_of("k", 1.0, (1e-3, 1e2), None).log and not transform_of("k", 1.0, (0.5, 2.0), None).log
    log = transform_of("k", 2.0, None, "log")
    close(log.value(log.free(2.0)), 2.0)


@pytest.mark.parametrize("value", [0.0, -1.0, 5.0])
def test_a_start_on_or_outside_a_bound_is_refused(value):
    with pytest.raises(FitError, match="not inside its bounds"):
        transform_of("k", value, (0.0, 5.0), None)
