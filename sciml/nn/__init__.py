"""Floor 7: neural differential equations, each an ordinary System underneath, and the loop that trains them."""

__all__: list[str] = []
