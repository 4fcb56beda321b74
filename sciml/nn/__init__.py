"""Floor 7: neural differential equations, each an ordinary System underneath, and the loop that trains them."""

from .cde import NeuralCDE as NeuralCDE
from .closed_form import CfC as CfC
from .control import ControlPath as ControlPath
from .control import control_path as control_path
from .equilibrium import DeepEquilibrium as DeepEquilibrium
from .flow import ContinuousNormalizingFlow as ContinuousNormalizingFlow
from .latent_sde import LatentSDE as LatentSDE
from .liquid import LTC as LTC
from .ode import NeuralODE as NeuralODE
from .projection import Projection as Projection
from .quadratic import QuadraticProgram as QuadraticProgram
from .sde import NeuralSDE as NeuralSDE
from .series import Series as Series
from .series import series as series
from .signature import LogSignature as LogSignature
from .signature import log_signature as log_signature
from .train import fit as fit
from .training import TrainingResult as TrainingResult
from .wiring import NCP as NCP
from .wiring import AutoNCP as AutoNCP
from .wiring import FullyConnected as FullyConnected
from .wiring import Wiring as Wiring

__all__ = [
    "LTC",
    "NCP",
    "AutoNCP",
    "CfC",
    "ContinuousNormalizingFlow",
    "ControlPath",
    "DeepEquilibrium",
    "FullyConnected",
    "LatentSDE",
    "LogSignature",
    "NeuralCDE",
    "NeuralODE",
    "NeuralSDE",
    "Projection",
    "QuadraticProgram",
    "Series",
    "TrainingResult",
    "Wiring",
    "control_path",
    "fit",
    "log_signature",
    "series",
]
