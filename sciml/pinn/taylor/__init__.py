"""Taylor mode: high derivatives of a function in one pass, with sums of them collapsed.

See `operators` for what is offered, `algebra` for the numbers that carry derivatives along, `interpret` for the rules.
"""

from .nested import nested as nested
from .operators import biharmonic as biharmonic
from .operators import directional as directional
from .operators import laplacian as laplacian
from .operators import partials as partials

__all__ = ["biharmonic", "directional", "laplacian", "nested", "partials"]
