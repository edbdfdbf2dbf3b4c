"""BatchNormalization: statistics of the batch in training, moving ones at inference."""
from typing import Any

from graphnet import config, dtypes, initializers
from graphnet.errors import ShapeError, UnsupportedError
from graphnet.layers.arguments import WeightOptions
from graphnet.layers.input_spec import InputSpec
from graphnet.ops.convert import assign_in_trace, cast, normalize_axis, shape, shown
from graphnet.ops.creation import zeros_like
from graphnet.ops.elementwise import add, divide, multiply, negative, rsqrt, square, subtract, where
from graphnet.ops.moments import Moments, Standardize
from graphnet.ops.reduction import sum as total
from graphnet.ops.shape import broadcast_to, expand_dims, reshape
from graphnet.registry import builtin


@builtin("layers")
class BatchNormalization(WeightOptions):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, with a mean and a variance for each channel.

    With training=True they are those of the batch, over all axes but ``axis``, and the moving ones change to
    ``moving * momentum + batch * (1 - momentum)``. Otherwise, and when ``trainable`` is False, they are the moving ones: the
    layer is then a factor and a shift for each channel, which the compiler folds into the weights of a layer before it.

    Arguments: ``axis`` (of the channels), ``momentum``, ``epsilon``, ``center`` (with beta), ``scale`` (with gamma);
    initializers of the four weights, regularizers and constraints of beta and gamma. ``renorm`` and ``synchronized`` must be
    False.
    Call arguments: ``training``, ``mask`` (of one axis less than x: what it leaves out does not count in the batch's
    statistics).
    Shapes: as the input; gamma, beta, moving_mean, moving_variance (extent of axis,). Raises ShapeError where a later input's
    extent differs.
    Source: https://keras.io/api/layers/normalization_layers/batch_normalization/

    Example:

        >>> import numpy as np, graphnet
        >>> layer = graphnet.layers.BatchNormalization(epsilon=0.0)
        >>> layer(np.array([[1.0], [3.0]], "float32"), training=True)
        array([[-1.],
               [ 1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
                 beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
                 moving_variance_initializer: Any = "ones", beta_regularizer: Any = None, gamma_regularizer: Any = None,
                 beta_constraint: Any = None, gamma_constraint: Any = None, renorm: bool = False, renorm_clipping: Any = None,
                 renorm_momentum: float = 0.99, synchronized: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if renorm or synchronized:
            raise UnsupportedError(f"Layer {self.name!r} (BatchNormalization) expects renorm=False and synchronized=False: "
                                   "graphnet trains on one machine, by plain batch statistics; received "
                                   f"renorm={renorm}, synchronized={synchronized}. Leave them out.")
        if isinstance(axis, (list, tuple)) and len(axis) == 1:
            axis = axis[0]
        self.axis, self.momentum, self.epsilon = int(axis), float(momentum), float(epsilon)
        self.center, self.scale = center, scale
        self._take_options(locals(), "beta", "gamma")
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm, self.renorm_clipping, self.renorm_momentum = renorm, renorm_clipping, renorm_momentum
        self.synchronized = synchronized
        self.gamma: Any = None
        self.beta: Any = None
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: Any) -> None:
        extents = (input_shape[normalize_axis(self.axis, len(input_shape), f"Layer {self.name!r} (BatchNormalization)")],)
        if self.scale:
            self.gamma = self._make_weight("gamma", extents)
        if self.center:
            self.beta = self._make_weight("beta", extents)
        self.moving_mean = self.add_weight(extents, self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(extents, self.moving_variance_initializer, trainable=False,
                                               name="moving_variance")
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: extents[0]})

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        x = cast(inputs, dtypes.result_type(str(inputs.dtype), "float32"))
        mean, variance = self.moving_mean, self.moving_variance
        if training and self.trainable:
            mean, variance = self._moments(x, mask)
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                assign_in_trace(moving, add(multiply(moving, self.momentum), multiply(batch, 1.0 - self.momentum)))
            return cast(self._standardized(x, mean, variance), self.dtype)
        factor = self._factor(variance)
        shift = multiply(mean, factor)
        shift = negative(shift) if self.beta is None else subtract(self.beta, shift)
        return cast(add(multiply(x, self._along(x, factor)), self._along(x, shift)), self.dtype)

    def _factor(self, variance: Any) -> Any:
        factor = rsqrt(add(variance, self.epsilon))
        return factor if self.gamma is None else multiply(factor, self.gamma)

    def _standardized(self, x: Any, mean: Any, variance: Any) -> Any:
        """By the batch's own statistics: what is far from 0 loses nothing, and the gradient needs two sums a channel."""
        shift = zeros_like(mean) if self.beta is None else cast(self.beta, x.dtype)
        return Standardize()(x, *[self._along(x, v) for v in (mean, self._factor(variance), shift)])

    def _along(self, x: Any, vector: Any) -> Any:
        """One value for each channel, so that it broadcasts against x."""
        axis = self.axis % x.ndim
        return vector if axis == x.ndim - 1 else reshape(vector, (-1, *(1,) * (x.ndim - 1 - axis)))

    def _moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance of the batch for each channel; where there is a mask, of what it keeps."""
        axes = tuple(i for i in range(x.ndim) if i != self.axis % x.ndim)
        if mask is None:
            return Moments(axes)(x)
        if mask.ndim != x.ndim - 1:
            raise ShapeError(f"Layer {self.name!r} (BatchNormalization) expects a mask with ndim={x.ndim - 1}, one less than "
                             f"its input; received a mask of shape {shown(shape(mask))} for an input of shape "
                             f"{shown(shape(x))}.")
        kept = cast(broadcast_to(expand_dims(mask, -1), shape(x)), "bool")
        count = add(total(cast(kept, x.dtype), axes), config.epsilon())
        mean = divide(total(where(kept, x, 0.0), axes), count)
        distance = where(kept, subtract(x, self._along(x, mean)), 0.0)
        return mean, divide(total(square(distance), axes), count)

    def get_config(self) -> dict[str, Any]:
        options = self._options_config("beta", "gamma")
        starts = {name: options.pop(name) for name in ("beta_initializer", "gamma_initializer")}
        return {
            **super().get_config(), "axis": self.axis, "momentum": self.momentum, "epsilon": self.epsilon,
            "center": self.center, "scale": self.scale, **starts,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer), **options,
            "synchronized": self.synchronized, "renorm": self.renorm, "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }
