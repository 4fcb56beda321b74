"""The Oregonator with its units: HBrO2 X, bromide Y and Ce(IV) Z in M and s (Field and Noyes 1974).

    A + Y -> X          k1 = 1.34
    X + Y -> P          k2 = 1.6e9
    B + X -> 2 X + Z    k3 = 8e3
    X + X -> Q          k4 = 4e7
    Z -> f Y            k5 = 1

    X' = k1 A Y - k2 X Y + k3 B X - 2 k4 X^2
    Y' = -k1 A Y - k2 X Y + f k5 Z
    Z' = k3 B X - k5 Z

with bromate A = B = 0.06 kept. Scaled, these are the equations of `orego`: 1 of its time is 0.161 s.

Expected: after 74 s of silence relaxation oscillations of period 48.75 s: within a second X jumps from 5e-11 to 6e-6 and Z to
8e-4, and the bromide set free, Y = 1e-3, stops it. X, Y and Z run over five, six and four decades: stiff, and absolute tolerances
have to respect the smallest values (`nominal`).

Reference:
    R. J. Field and R. M. Noyes, Oscillations in chemical systems IV: limit cycle behavior in a model of a real chemical
        reaction, Journal of Chemical Physics 60, 1877-1884, 1974. The start is that of model BIOMD0000000040 of BioModels.
"""

import sciml as sci

CITATION = "R. J. Field and R. M. Noyes, Oscillations in chemical systems IV, Journal of Chemical Physics 60, 1877-1884, 1974"
T_SPAN = (0.0, 100.0)
SOLVER = "rodas5p"
# Radau IIA at rtol 1e-12, atol 1e-19; BDF (CVODE) at rtol 1e-12 agrees to 3e-10 of each.
REFERENCE = {"X": 5.12282625918829e-11, "Y": 1.57097362784104e-5, "Z": 2.45235733070e-8}


def field_noyes() -> sci.System:
    """Concentrations of HBrO2, bromide and Ce(IV)."""
    t = sci.t
    about = ["HBrO2", "Br-", "Ce(IV)"]
    X, Y, Z = sci.variables("X Y Z", initial=[5e-11, 1e-7, 0.05], nominal=[1e-9, 1e-7, 1e-4], description=about)
    k1, k2, k3, k4, k5 = sci.parameters("k1:6", [1.34, 1.6e9, 8e3, 4e7, 1.0], bounds=(0.0, None), scale="log")
    A, B, f = sci.parameters("A B f", [0.06, 0.06, 1.0], bounds=(0.0, None), description=["bromate", "bromate", "bromide per Ce(IV)"])
    return sci.System(
        [
            sci.eq(X.diff(t), k1 * A * Y - k2 * X * Y + k3 * B * X - 2 * k4 * X**2),
            sci.eq(Y.diff(t), -k1 * A * Y - k2 * X * Y + f * k5 * Z),
            sci.eq(Z.diff(t), k3 * B * X - k5 * Z),
        ],
        name="field_noyes",
        description=CITATION,
    )
