"""The passes in their order, each with the reason why it stands there."""

from collections.abc import Callable

from ..errors import CompileError
from ..symbols import declaration_of
from ..system import System, balanced
from .alias import eliminate_aliases
from .gridless import on_ranges
from .isolate import isolate
from .noise import ito_chain_rule
from .order import first_order
from .units import convert_units

Pass = Callable[[System], System]


def compilable(system: System) -> System:
    """Refuses, by name, what this version cannot compile."""
    on_ranges(system)
    for name, s in system.symbols.items():
        d = declaration_of(s)
        if d.kind == "field" or (d.over and d.kind != "normal"):
            over = [str(c) for c in d.over if declaration_of(c).kind == "space"]
            raise CompileError(
                f"'{name}' is a field over {', '.join(over)}, and a solve needs a grid: "
                f"sci.discretize(system, {{{', '.join(f'{c}: sci.FiniteDifference(64)' for c in over)}}})."
            )
    return system


def checked_chain_rule(system: System) -> System:
    """Refuses what Ito's calculus has no chain rule for."""
    ito_chain_rule(system)
    return system


def checked_balance(system: System) -> System:
    """Refuses too few equations, naming the block."""
    balanced(system)
    return system


PASSES: tuple[tuple[Pass, str], ...] = (
    (compilable, "what cannot be compiled is said before any work is done"),
    (convert_units, "factors must be in place before anything is rearranged"),
    (checked_chain_rule, "must see the derivatives as they were written"),
    (eliminate_aliases, "before the balance: tied components share an unknown"),
    (checked_balance, "the complaint should show the user's equations, not reduced ones"),
    (first_order, "solvers know first derivatives only"),
    (isolate, "last: needs first order and one unknown per quantity"),
)


def run_passes(system: System, passes: tuple[tuple[Pass, str], ...] = PASSES) -> System:
    """The System after all passes, or after those given."""
    for one, _ in passes:
        system = one(system)
    return system
