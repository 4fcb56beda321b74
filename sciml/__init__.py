"""sciml: a modelling language for science. Equations in SymPy, solved and differentiated in JAX."""

# ruff: noqa: E402  (XLA reads its options when JAX starts, so they come first)

from .xla import raise_small_loop_threshold as _raise_small_loop_threshold

_raise_small_loop_threshold()

from . import nn as nn
from . import pinn as pinn
from .codegen import CompiledSystem as CompiledSystem
from .codegen import compile as compile
from .fit import Discovery as Discovery
from .fit import FitResult as FitResult
from .fit import LogNormal as LogNormal
from .fit import Normal as Normal
from .fit import discover as discover
from .fit import fit as fit
from .io import load as load
from .io import save as save
from .passes import Chebyshev as Chebyshev
from .passes import Cosine as Cosine
from .passes import FiniteDifference as FiniteDifference
from .passes import FiniteVolume as FiniteVolume
from .passes import Fourier as Fourier
from .passes import Sine as Sine
from .passes import discretize as discretize
from .passes import manufacture as manufacture
from .solve import ErrorEstimate as ErrorEstimate
from .solve import Linearization as Linearization
from .solve import Solution as Solution
from .solve import Status as Status
from .solve import SteadyState as SteadyState
from .solve import Stiffness as Stiffness
from .solve import ensemble as ensemble
from .solve import implicit as implicit
from .solve import linearize as linearize
from .solve import solve as solve
from .solve import steady_state as steady_state
from .symbols import D as D
from .symbols import at as at
from .symbols import ball as ball
from .symbols import box as box
from .symbols import constants as constants
from .symbols import curl as curl
from .symbols import data as data
from .symbols import div as div
from .symbols import dot as dot
from .symbols import fields as fields
from .symbols import function as function
from .symbols import grad as grad
from .symbols import integral as integral
from .symbols import laplacian as laplacian
from .symbols import neural as neural
from .symbols import normal_derivative as normal_derivative
from .symbols import parameters as parameters
from .symbols import polygon as polygon
from .symbols import space as space
from .symbols import t as t
from .symbols import table as table
from .symbols import variables as variables
from .symbols import white_noise as white_noise
from .system import Equation as Equation
from .system import System as System
from .system import eq as eq
