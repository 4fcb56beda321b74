"""Measured data: a long table of (time, observable, value), checked and put in order."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from ..errors import FitError, nearest

_COLUMNS = ("time", "observable", "value")


@dataclasses.dataclass(frozen=True)
class Observations:
    """`times` are all the times at which anything was measured; series `name` has `values[name]` at `times[index[name]]`."""

    times: np.ndarray
    index: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    dropped: int

    @property
    def names(self) -> list[str]:
        return list(self.values)

    @property
    def count(self) -> int:
        return sum(len(v) for v in self.values.values())

    def series(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        return self.times[self.index[name]], self.values[name]


def observations(table: Any) -> Observations:
    """Reads a long table with the columns time, observable, value. Rows without a value are left out and counted.

    A wide table (a column per observable) is recognised by its `time` column or index and melted.

    Raises:
        FitError: no such columns, text where numbers belong, NaN times, nothing left.
    """
    if isinstance(table, Observations):
        return table
    if not isinstance(table, pd.DataFrame):
        raise FitError('Data must be a pandas table with the columns "time", "observable", "value": pandas.DataFrame({"time": ..., ...}).')
    table = _long(table)
    frame = pd.DataFrame({"observable": table["observable"].astype(str)})
    for column in ("time", "value"):
        try:
            values = table[column]
            if values.dtype == object:  # scalars of JAX or NumPy, one by one
                values = [np.nan if v is None else v if isinstance(v, str) else float(v) for v in values]
            frame[column] = pd.to_numeric(pd.Series(list(values))).to_numpy()
        except (ValueError, TypeError) as problem:
            raise FitError(f"The column '{column}' holds something that is not a number ({problem}). Correct it, or leave the cell empty.") from None
    if frame["time"].isna().any() or np.isinf(frame["time"]).any():
        row = int(np.argmax(~np.isfinite(frame["time"].to_numpy(float))))
        raise FitError(f'Row {row} has no time. Drop it: table.dropna(subset=["time"]).')
    if np.isinf(frame["value"]).any():
        row = int(np.argmax(np.isinf(frame["value"].to_numpy(float))))
        raise FitError(f"Row {row} has an infinite value. Correct it, or leave it empty (missing values are allowed).")
    kept = frame.dropna(subset=["value"]).sort_values("time", kind="stable")
    if kept.empty:
        raise FitError("The table has no values: every row is empty.")
    times = np.unique(kept["time"].to_numpy(float))
    index, values = {}, {}
    for name, rows in kept.groupby("observable", sort=False):
        index[str(name)] = np.searchsorted(times, rows["time"].to_numpy(float))
        values[str(name)] = rows["value"].to_numpy(float)
    return Observations(times, index, values, dropped=len(frame) - len(kept))


def _long(table: pd.DataFrame) -> pd.DataFrame:
    if set(_COLUMNS) <= set(table.columns):
        return table
    if "time" not in table.columns and table.index.name == "time":
        table = table.reset_index()
    if "time" in table.columns and not {"observable", "value"} & set(table.columns):
        return table.melt(id_vars="time", var_name="observable", value_name="value")
    missing = next(c for c in _COLUMNS if c not in table.columns)
    raise FitError(
        f'The table has no column \'{missing}\'. {nearest(missing, map(str, table.columns))} Rename it: table.rename(columns={{"...": "{missing}"}}).'
    )
