"""What a training gives: the model, its history, and a picture of it."""

from typing import Any

import pandas as pd


class TrainingResult:
    """The result of `sciml.nn.fit`.

    Attributes:
        model: the model that was best on the validation data; without them the last one with a finite loss.
        history: a table with a row for each step: epoch, loss, what the loss shows besides, the same on the validation data where
            they were taken (`"validation loss"`), and the seconds since the start.
        reason: how training ended, in words.
        steps: the steps done.
        best_step: after how many steps the model was best on the validation data; None without them.
    """

    def __init__(self, model: Any, rows: list[dict[str, float]], reason: str, per_epoch: int, best_step: int | None) -> None:
        self.model, self.reason, self.steps, self.best_step = model, reason, len(rows), best_step
        table = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="step"))
        first = [name for name in table.columns if name != "seconds"]
        table = table[[*first, "seconds"]]
        table.insert(0, "epoch", (table.index - 1) // per_epoch)
        self.history = table

    def plot(self, ax: Any = None, column: str = "loss") -> Any:
        """A column of the history over the steps, with that of the validation data. Returns the axes.

        Args:
            ax: axes to draw on; new ones if left out.
            column: "loss", or what the loss shows besides.

        Raises:
            NameUnknown: a column that the history does not have.
        """
        from ..errors import NameUnknown, nearest
        from ..figure import axes

        if column not in self.history:
            raise NameUnknown(f"The history has no column '{column}'. {nearest(column, list(self.history.columns))}")
        ax = axes(ax)
        values = self.history[column]
        ax.plot(values.index, values, lw=0.8, label="training")
        judged = self.history.get(f"validation {column}")
        if judged is not None:
            judged = judged.dropna()
            ax.plot(judged.index, judged, ".-", lw=1.2, ms=4, label="validation")
            if self.best_step is not None and self.best_step in judged.index:
                ax.plot([self.best_step], [judged[self.best_step]], "o", mfc="none", color="k", label="best")
            ax.legend(frameon=False)
        if (values.dropna() > 0).all():
            ax.set_yscale("log")
        ax.set(xlabel="step", ylabel=column)
        return ax

    def __repr__(self) -> str:
        last = self.history["loss"].iloc[-1]
        best = "" if self.best_step is None else f", best validation loss {self.history['validation loss'].min():.4g} after {self.best_step}"
        return f"TrainingResult: {self.steps} steps, loss {last:.4g}{best}; {self.reason}"
