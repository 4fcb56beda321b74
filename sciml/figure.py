"""matplotlib on call: imported when a picture is asked for, and not before."""

from typing import Any


def axes(ax: Any = None) -> Any:
    """The axes to draw on; new ones if none are given."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, made = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    made.spines[["top", "right"]].set_visible(False)
    made.grid(alpha=0.25)
    return made
