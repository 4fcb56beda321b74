"""Lynx and hare: a predator-prey model fitted to the record of the Hudson's Bay Company, 1900-1920.

    hare' = birth*hare - hunting*hare*lynx          lynx' = feeding*hare*lynx - death*lynx

Run: python examples/lynx_hare.py      About 20 s on two cores, most of it compilation.
Expected: birth 0.55, hunting 0.028, feeding 0.024, death 0.80 per year, as in Carpenter (2018).
"""

import time
from pathlib import Path

import jax
import pandas as pd

import sciml as sci

HERE = Path(__file__).parent
OUT = HERE.parent / "out"


# Model
t = sci.t
hare, lynx = sci.variables("hare lynx", initial=[30.0, 5.0], bounds=(0, None), description="pelts [thousands]")
birth, hunting, feeding, death = sci.parameters("birth hunting feeding death", [0.5, 0.02, 0.02, 1.0], bounds=(0, None))
system = sci.System(
    [sci.eq(hare.diff(t), birth * hare - hunting * hare * lynx), sci.eq(lynx.diff(t), feeding * hare * lynx - death * lynx)],
    name="lynx_hare",
)


# Data
def measured() -> pd.DataFrame:
    table = pd.read_csv(HERE / "lynx_hare.csv", comment="#").rename(columns={"year": "time"})
    table["time"] -= 1900  # years since 1900
    return table.melt("time", var_name="observable", value_name="value")


# Solve: differentiate through the solver until the model meets the data
def main(progress: bool = True) -> sci.FitResult:
    free = [birth, hunting, feeding, death, hare, lynx]
    return sci.fit(system, measured(), free=free, noise=sci.LogNormal(), progress=progress)


# Plot
def picture(result: sci.FitResult) -> Path:
    ax = result.plot()
    ax.set(xlabel="years since 1900", ylabel="pelts [thousands]", title="Hudson's Bay Company: hare and lynx, Lotka-Volterra with 95% band")
    OUT.mkdir(exist_ok=True)
    path = OUT / "lynx_hare.png"
    ax.figure.savefig(path, dpi=150)
    return path


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    began = time.perf_counter()
    result = main()
    print(result.summary().to_string(float_format="{:.4f}".format))
    print(f"noise: {next(iter(result.sigma.values())):.3f} (relative), {result.reason} after {len(result.losses)} steps")
    print(f"picture: {picture(result)}   ({time.perf_counter() - began:.0f} s)")
