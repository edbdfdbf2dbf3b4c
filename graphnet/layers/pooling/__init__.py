"""Pooling: windows, whole axes, and windows of a number that is given."""
from graphnet.layers.pooling.adaptive import AdaptiveAveragePooling1D as AdaptiveAveragePooling1D
from graphnet.layers.pooling.adaptive import AdaptiveAveragePooling2D as AdaptiveAveragePooling2D
from graphnet.layers.pooling.adaptive import AdaptiveAveragePooling3D as AdaptiveAveragePooling3D
from graphnet.layers.pooling.adaptive import AdaptiveMaxPooling1D as AdaptiveMaxPooling1D
from graphnet.layers.pooling.adaptive import AdaptiveMaxPooling2D as AdaptiveMaxPooling2D
from graphnet.layers.pooling.adaptive import AdaptiveMaxPooling3D as AdaptiveMaxPooling3D
from graphnet.layers.pooling.whole import GlobalAveragePooling1D as GlobalAveragePooling1D
from graphnet.layers.pooling.whole import GlobalAveragePooling2D as GlobalAveragePooling2D
from graphnet.layers.pooling.whole import GlobalAveragePooling3D as GlobalAveragePooling3D
from graphnet.layers.pooling.whole import GlobalMaxPooling1D as GlobalMaxPooling1D
from graphnet.layers.pooling.whole import GlobalMaxPooling2D as GlobalMaxPooling2D
from graphnet.layers.pooling.whole import GlobalMaxPooling3D as GlobalMaxPooling3D
from graphnet.layers.pooling.windows import AveragePooling1D as AveragePooling1D
from graphnet.layers.pooling.windows import AveragePooling2D as AveragePooling2D
from graphnet.layers.pooling.windows import AveragePooling3D as AveragePooling3D
from graphnet.layers.pooling.windows import MaxPooling1D as MaxPooling1D
from graphnet.layers.pooling.windows import MaxPooling2D as MaxPooling2D
from graphnet.layers.pooling.windows import MaxPooling3D as MaxPooling3D

GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D

__all__ = [
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalAvgPool1D", "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "MaxPool1D",
    "MaxPool2D", "MaxPool3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
]
