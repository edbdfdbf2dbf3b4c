"""SpatialDropout: dropout of whole feature maps."""
from typing import Any

from graphnet import config
from graphnet.layers.input_spec import InputSpec
from graphnet.layers.regularization.dropout import Dropout
from graphnet.registry import builtin


class _SpatialDropout(Dropout):
    """Dropout in which all elements of one channel of one sample share their fate."""

    rank = 1

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.data_format = "channels_last"

    def fates(self, inputs: Any) -> Any:
        ones = (1,) * self.rank
        return (None, *ones, None) if self.data_format == "channels_last" else (None, None, *ones)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


class _ImageDropout(_SpatialDropout):
    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, name: str | None = None,
                 dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(rate, seed, name, dtype, **kwargs)
        self.data_format = config.standardize_data_format(data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


@builtin("layers")
class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of a sequence. Arguments: ``rate``, ``seed``. Shapes: (batch, steps, channels), unchanged.

    Source: https://arxiv.org/abs/1411.4280

    Example:

        >>> import graphnet
        >>> graphnet.layers.SpatialDropout1D(0.5)(graphnet.Input((5, 3))).shape
        (None, 5, 3)
    """


@builtin("layers")
class SpatialDropout2D(_ImageDropout):
    """Dropout of whole channels of an image. Arguments: ``rate``, ``data_format``, ``seed``. Shapes: (batch, rows, columns,
    channels), unchanged.

    Source: https://arxiv.org/abs/1411.4280

    Example:

        >>> import graphnet
        >>> graphnet.layers.SpatialDropout2D(0.5)(graphnet.Input((5, 5, 3))).shape
        (None, 5, 5, 3)
    """

    rank = 2


@builtin("layers")
class SpatialDropout3D(_ImageDropout):
    """Dropout of whole channels of a volume. Arguments: ``rate``, ``data_format``, ``seed``. Shapes: (batch, *3 axes,
    channels), unchanged.

    Source: https://arxiv.org/abs/1411.4280

    Example:

        >>> import graphnet
        >>> graphnet.layers.SpatialDropout3D(0.5)(graphnet.Input((4, 4, 4, 3))).shape
        (None, 4, 4, 4, 3)
    """

    rank = 3
