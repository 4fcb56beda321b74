"""Floor 7: networks that are the solution of a System, trained at points and not on a grid."""

from ..optimize import Broyden as Broyden
from ..optimize import Descent as Descent
from ..optimize import GaussNewton as GaussNewton
from ..optimize import soap as soap
from .ensemble import NetworkEnsemble as NetworkEnsemble
from .ensemble import ensemble as ensemble
from .files import load as load
from .fit import fit as fit
from .networks import MLP as MLP
from .networks import ModifiedMLP as ModifiedMLP
from .networks import PirateNet as PirateNet
from .networks import inputs as inputs
from .networks import mlp as mlp
from .networks import modified_mlp as modified_mlp
from .networks import piratenet as piratenet
from .plans.sample import Dense as Dense
from .plans.sample import Sparse as Sparse
from .solution import NetworkSolution as NetworkSolution
from .training import Stage as Stage
