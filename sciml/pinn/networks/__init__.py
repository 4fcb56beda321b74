"""Networks that can be the solution of a System: made for it by name, or by their sizes; and the check of a user's own."""

from .check import checked as checked
from .layers import Dense as Dense
from .layers import FourierFeatures as FourierFeatures
from .modules import MLP as MLP
from .modules import ModifiedMLP as ModifiedMLP
from .modules import PirateNet as PirateNet
from .ready import coordinates_of as coordinates_of
from .ready import inputs as inputs
from .ready import mlp as mlp
from .ready import modified_mlp as modified_mlp
from .ready import piratenet as piratenet
