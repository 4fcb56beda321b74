"""A long table of measurements: put in order, with what is missing left out and what is wrong named."""

import numpy as np
import pandas as pd
import pytest

from sciml.data import observations
from sciml.errors import FitError

LONG = pd.DataFrame({"time": [1.0, 0.0, 1.0, 2.0], "observable": ["b", "a", "a", "a"], "value": [5.0, 1.0, 2.0, np.nan]})


def test_series_share_one_list_of_times():
    found = observations(LONG)
    assert found.names == ["a", "b"]
    assert found.count == 3
    assert found.dropped == 1
    np.testing.assert_array_equal(found.times, [0.0, 1.0])
    for name, (times, values) in {"a": ([0, 1], [1, 2]), "b": ([1], [5])}.items():
        got = found.series(name)
        np.testing.assert_array_equal(got[0], times)
        np.testing.assert_array_equal(got[1], values)


def test_repeated_measurements_are_kept():
    found = observations(pd.DataFrame({"time": [0, 0, 1], "observable": "a", "value": [1.0, 2.0, 3.0]}))
    np.testing.assert_array_equal(found.series("a")[0], [0, 0, 1])


@pytest.mark.parametrize("index", [False, True])
def test_a_wide_table_is_recognised(index):
    wide = pd.DataFrame({"time": [0.0, 1.0], "hare": [3.0, 4.0], "lynx": [1.0, np.nan]})
    found = observations(wide.set_index("time") if index else wide)
    assert found.names == ["hare", "lynx"]
    assert found.count == 3


def test_observations_pass_through():
    found = observations(LONG)
    assert observations(found) is found


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"time": [1]}, "must be a pandas table"),
        (LONG.rename(columns={"value": "valeu"}), "no column 'value'.*Did you mean 'valeu'.*rename"),
        (LONG.assign(value=["1", "2", "x", "3"]), "The column 'value' holds something that is not a number"),
        (LONG.assign(time=[0.0, np.nan, 1.0, 2.0]), "Row 1 has no time. Drop it"),
        (LONG.assign(value=[1.0, np.inf, 1.0, 2.0]), "Row 1 has an infinite value"),
        (LONG.assign(value=np.nan), "no values: every row is empty"),
    ],
    ids=["not a table", "misspelt column", "text", "no time", "infinite", "empty"],
)
def test_what_is_wrong_is_named_with_its_cure(table, message):
    with pytest.raises(FitError, match=message):
        observations(table)
