"""Pooling: windows, whole axes, and windows of a number that is given."""
from graphnet.layers.pooling.adaptive import AdaptiveAveragePooling1D as AdaptiveAveragePooling1D
from graphnet.layers.pooling.adaptive import AdaptiveAveragePooling2D as AdaptiveAveragePooling2D
from graphnet.layers.pooling.adaptive import AdaptiveAveragePooling3D as AdaptiveAveragePooling3D
from graphnet.layers.pooling.adaptive import AdaptiveMaxPooling1D as AdaptiveMaxPooling1D
from graphnet.layers.pooling.adaptive import AdaptiveMaxPooling2D as AdaptiveMaxPooling2D
from graphnet.layers.pooling.adaptive import AdaptiveMaxPooling3D as AdaptiveMaxPooling3D
from graphnet.layers.pooling.whole import GlobalAveragePooling1D as GlobalAveragePooling1D
from graphnet.layers.pooling.whole import GlobalAveragePooling1D as GlobalAvgPool1D
from graphnet.layers.pooling.whole import GlobalAveragePooling2D as GlobalAveragePooling2D
from graphnet.layers.pooling.whole import GlobalAveragePooling2D as GlobalAvgPool2D
from graphnet.layers.pooling.whole import GlobalAveragePooling3D as GlobalAveragePooling3D
from graphnet.layers.pooling.whole import GlobalAveragePooling3D as GlobalAvgPool3D
from graphnet.layers.pooling.whole import GlobalMaxPooling1D as GlobalMaxPool1D
from graphnet.layers.pooling.whole import GlobalMaxPooling1D as GlobalMaxPooling1D
from graphnet.layers.pooling.whole import GlobalMaxPooling2D as GlobalMaxPool2D
from graphnet.layers.pooling.whole import GlobalMaxPooling2D as GlobalMaxPooling2D
from graphnet.layers.pooling.whole import GlobalMaxPooling3D as GlobalMaxPool3D
from graphnet.layers.pooling.whole import GlobalMaxPooling3D as GlobalMaxPooling3D
from graphnet.layers.pooling.windows import AveragePooling1D as AveragePooling1D
from graphnet.layers.pooling.windows import AveragePooling1D as AvgPool1D
from graphnet.layers.pooling.windows import AveragePooling2D as AveragePooling2D
from graphnet.layers.pooling.windows import AveragePooling2D as AvgPool2D
from graphnet.layers.pooling.windows import AveragePooling3D as AveragePooling3D
from graphnet.layers.pooling.windows import AveragePooling3D as AvgPool3D
from graphnet.layers.pooling.windows import MaxPooling1D as MaxPool1D
from graphnet.layers.pooling.windows import MaxPooling1D as MaxPooling1D
from graphnet.layers.pooling.windows import MaxPooling2D as MaxPool2D
from graphnet.layers.pooling.windows import MaxPooling2D as MaxPooling2D
from graphnet.layers.pooling.windows import MaxPooling3D as MaxPool3D
from graphnet.layers.pooling.windows import MaxPooling3D as MaxPooling3D

__all__ = [name for name, value in list(globals().items()) if isinstance(value, type)]  # the classes: a star takes no submodules along
