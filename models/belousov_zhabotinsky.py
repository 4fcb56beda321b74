"""Chaos in a stirred flow reactor: the Belousov-Zhabotinsky reaction in three variables (Gyorgyi and Field 1992).

X is HBrO2, Y bromide, Z Ce(IV), V bromomalonic acid; bromate A, malonic acid M, acid H and all cerium C are kept. In M and s:

    Y + X + H -> 2 V           k1 H X Y
    Y + A + 2 H -> V + X       k2 A H^2 Y
    2 X -> V                   k3 X^2
    X / 2 + A + H -> X + Z     k4 A^0.5 H^1.5 (C - Z) X^0.5
    X + Z -> X / 2             k5 X Z
    V + Z -> Y                 alpha k6 V Z
    Z -> nothing               beta k7 M Z

Everything flows out at the rate kf. Bromide is fast and taken at its balance,

    Y = alpha k6 V Z / (k1 H X + k2 A H^2 + kf)

which leaves X, Z and V. Two variants, both published: "low flow" (kf = 3.902e-4 / s, small bursts in an irregular order) and
"high flow" (kf = 2.16e-3 / s, other feeds; groups of large and small oscillations).

Expected: bursts of Z every 40 to 50 s, large and small ones in turn and out of turn ("low flow"), or every 120 to 180 s, three to
five of falling size and again ("high flow"). Errors grow in "low flow": some six digits are lost from the 600 s of the reference
to 2300 s. X runs over two decades and must stay positive under the root. Hardly stiff, rates are a few per second.

Reference:
    L. Gyorgyi and R. J. Field, A three-variable model of deterministic chaos in the Belousov-Zhabotinsky reaction, Nature 355,
        808-810, 1992.
"""

import sympy as sp

import sciml as sci

CITATION = "L. Gyorgyi and R. J. Field, A three-variable model of deterministic chaos in the BZ reaction, Nature 355, 808-810, 1992"
T_SPAN = (0.0, 600.0)
SOLVER = "tsit5"
# DOP853 at rtol 3e-14; Radau IIA at rtol 1e-11 agrees to 5e-10 of each.
REFERENCE = {"X": 3.1524278679e-8, "Z": 5.7282357863e-6, "V": 1.17994449849e-3}
# The same for the variant "high flow", over the same span; Radau IIA agrees to 8e-14.
HIGH_FLOW = {"X": 2.71431425020855e-6, "Z": 7.28388571570268e-5, "V": 6.36737411601461e-4}

# A, M, H, C, alpha, beta, kf, and where the scaled X, Z and V start, on the attractor.
_VARIANTS = {
    "low flow": (0.1, 0.25, 0.26, 8.33e-4, 666.7, 0.3478, 3.902e-4, (0.0468627, 0.89870, 0.846515)),
    "high flow": (0.14, 0.3, 0.26, 1e-3, 333.3, 0.2609, 2.16e-3, (0.446751, 5.275282, 0.393890)),
}
_RATES = [4e6, 2.0, 3000.0, 55.2, 7000.0, 0.09, 0.23]


def belousov_zhabotinsky(variant: str = "low flow") -> sci.System:
    """Concentrations of HBrO2, Ce(IV) and bromomalonic acid; `variant` is "low flow" or "high flow"."""
    t = sci.t
    *feeds, start = _VARIANTS[variant]
    a, m, acid, c = feeds[:4]
    # The publication's units of X, Z and V.
    units = [_RATES[1] * a * acid**2 / _RATES[4], c * a / (40 * m), 4 * a * acid * c / m**2]
    about = ["HBrO2", "Ce(IV)", "bromomalonic acid"]
    X, Z, V = sci.variables("X Z V", initial=[s * u for s, u in zip(start, units, strict=True)], nominal=units, description=about)
    A, M, H, C = sci.parameters("A M H C", feeds[:4], bounds=(0.0, None), description=["bromate", "malonic acid", "acid", "all cerium"])
    alpha, beta, kf = sci.parameters("alpha beta kf", feeds[4:], bounds=(0.0, None))
    k1, k2, k3, k4, k5, k6, k7 = sci.parameters("k1:8", _RATES, bounds=(0.0, None), scale="log")
    Y = alpha * k6 * V * Z / (k1 * H * X + k2 * A * H**2 + kf)
    r1, r2, r3 = k1 * H * X * Y, k2 * A * H**2 * Y, k3 * X**2
    r4 = k4 * sp.sqrt(A) * H ** sp.Rational(3, 2) * (C - Z) * sp.sqrt(X)
    r5, r6, r7 = k5 * X * Z, alpha * k6 * V * Z, beta * k7 * M * Z
    return sci.System(
        [
            sci.eq(X.diff(t), -r1 + r2 - 2 * r3 + r4 / 2 - r5 / 2 - kf * X),
            sci.eq(Z.diff(t), r4 - r5 - r6 - r7 - kf * Z),
            sci.eq(V.diff(t), 2 * r1 + r2 + r3 - r6 - kf * V),
        ],
        observed={"Y": Y},
        name="belousov_zhabotinsky",
        description=CITATION,
    )
