"""The squid's giant axon: a nerve's spikes from currents of sodium and potassium (Hodgkin and Huxley 1952).

    C V' = I - gNa m^3 h (V - ENa) - gK n^4 (V - EK) - gL (V - EL)
    m' = am (1 - m) - bm m,    h' = ah (1 - h) - bh h,    n' = an (1 - n) - bn n

in mV, ms, uA/cm^2, mS/cm^2 and uF/cm^2, where V = -65 is rest and u = V + 65 above it

    am = phi((25 - u) / 10)         bm = 4 exp(-u / 18)                      phi(x) = x / (exp(x) - 1)
    ah = 0.07 exp(-u / 20)          bh = 1 / (exp((30 - u) / 10) + 1)
    an = phi((10 - u) / 10) / 10    bn = 0.125 exp(-u / 80)

at 6.3 degrees Celsius. The publication measures the potential from rest and with the other sign; the rest is as there.

Expected: under a constant current of 10 uA/cm^2 the nerve, at rest at first, fires again and again, every 14.6 ms, from -75 to
+40 mV; below about 6 uA/cm^2 it is silent after one spike or none. Smooth between the spikes and not stiff: an explicit method
does. phi is 0 / 0 at u = 25 and u = 10, where its series takes over.

Reference:
    A. L. Hodgkin and A. F. Huxley, A quantitative description of membrane current and its application to conduction and
        excitation in nerve, Journal of Physiology 117, 500-544, 1952.
"""

import math

import sympy as sp

import sciml as sci

CITATION = "A. L. Hodgkin and A. F. Huxley, A quantitative description of membrane current, Journal of Physiology 117, 500-544, 1952"
T_SPAN = (0.0, 50.0)
SOLVER = "tsit5"
# DOP853 at rtol 3e-14; Radau IIA at rtol 1e-10 agrees to 2e-12 of each.
REFERENCE = {"V": -73.771451863276, "m": 0.0175837056738912, "h": 0.229037997730569, "n": 0.594332552563532}

# The gates at rest, u = 0: opening / (opening + closing).
_OPENING = {"m": 2.5 / math.expm1(2.5), "h": 0.07, "n": 0.1 / math.expm1(1.0)}
_CLOSING = {"m": 4.0, "h": 1 / (math.exp(3.0) + 1), "n": 0.125}
_REST = {gate: _OPENING[gate] / (_OPENING[gate] + _CLOSING[gate]) for gate in _OPENING}


def _phi(x: sp.Expr) -> sp.Expr:
    """x / (exp(x) - 1), with its series 1 - x/2 + x^2/12 around 0 (the next term is x^4/720)."""
    return sp.Piecewise((1 - x / 2 + x**2 / 12, sp.Abs(x) < 1e-3), (x / (sp.exp(x) - 1), True))


def hodgkin_huxley() -> sci.System:
    """Potential and gates under a constant current, at rest at first."""
    t = sci.t
    V = sci.variables("V", initial=-65.0, nominal=10.0, description="membrane potential in mV")
    about = ["sodium activation", "sodium inactivation", "potassium activation"]
    m, h, n = sci.variables("m h n", initial=list(_REST.values()), bounds=(0.0, 1.0), description=about)
    current = sci.parameters("I", 10.0, description="current into the nerve in uA/cm^2")
    C = sci.parameters("C", 1.0, bounds=(0.0, None), description="capacity in uF/cm^2")
    gNa, gK, gL = sci.parameters("gNa gK gL", [120.0, 36.0, 0.3], bounds=(0.0, None), description="conductance in mS/cm^2")
    # The last is the publication's 10.613 above rest, which makes rest an equilibrium without a current.
    ENa, EK, EL = sci.parameters("ENa EK EL", [50.0, -77.0, -54.387], description="reversal potential in mV")
    u = V + 65
    ionic = gNa * m**3 * h * (V - ENa) + gK * n**4 * (V - EK) + gL * (V - EL)
    return sci.System(
        [
            sci.eq(C * V.diff(t), current - ionic),
            sci.eq(m.diff(t), _phi((25 - u) / 10) * (1 - m) - 4 * sp.exp(-u / 18) * m),
            sci.eq(h.diff(t), 0.07 * sp.exp(-u / 20) * (1 - h) - h / (sp.exp((30 - u) / 10) + 1)),
            sci.eq(n.diff(t), _phi((10 - u) / 10) / 10 * (1 - n) - 0.125 * sp.exp(-u / 80) * n),
        ],
        observed={"ionic": ionic},
        name="hodgkin_huxley",
        description=CITATION,
    )
