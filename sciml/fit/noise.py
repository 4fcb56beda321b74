"""How measurements scatter around the model: each kind turns prediction and value into weighted residuals."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..errors import FitError


@dataclasses.dataclass(frozen=True)
class Normal:
    """value = prediction + sigma*N(0, 1). Without sigma, one common size is estimated from the residuals.

    >>> import sciml as sci
    >>> noise = {"hare": sci.Normal(5.0)}
    """

    sigma: float | None = None

    def residuals(self, predicted: Any, value: Any) -> Any:
        """(prediction - value)/sigma."""
        return (predicted - value) / (1.0 if self.sigma is None else self.sigma)

    def spread(self, predicted: Any, sigma: float, times: float) -> Any:
        """The prediction plus `times` standard deviations."""
        return predicted + times * sigma

    def check(self, name: str, values: np.ndarray) -> None:
        _check_sigma(name, self.sigma)


@dataclasses.dataclass(frozen=True)
class LogNormal:
    """log(value) = log(prediction) + sigma*N(0, 1), for positive quantities with a relative error."""

    sigma: float | None = None

    def residuals(self, predicted: Any, value: Any) -> Any:
        """(log prediction - log value)/sigma."""
        # A prediction that is not positive is as far from the data as can be told, with a finite gradient.
        tiny = jnp.finfo(jnp.asarray(predicted).dtype).tiny
        return (jnp.log(jnp.maximum(predicted, tiny)) - jnp.log(value)) / (1.0 if self.sigma is None else self.sigma)

    def spread(self, predicted: Any, sigma: float, times: float) -> Any:
        """The prediction times exp(`times` standard deviations)."""
        return predicted * np.exp(times * sigma)

    def check(self, name: str, values: np.ndarray) -> None:
        _check_sigma(name, self.sigma)
        if (values <= 0).any():
            raise FitError(f"'{name}' holds values that are not positive, which LogNormal noise cannot give. Use sci.Normal().")


def _check_sigma(name: str, sigma: Any) -> None:
    if sigma is not None and not (np.ndim(sigma) == 0 and sigma > 0):
        raise FitError(f"The sigma of '{name}' is {sigma}. Give a positive number, or leave it out to have it estimated.")
