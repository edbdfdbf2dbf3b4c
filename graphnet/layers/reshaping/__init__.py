"""Layers that move elements: other shapes, orders, borders and sizes."""
from graphnet.layers.reshaping.cropping import Cropping1D as Cropping1D
from graphnet.layers.reshaping.cropping import Cropping2D as Cropping2D
from graphnet.layers.reshaping.cropping import Cropping3D as Cropping3D
from graphnet.layers.reshaping.flatten import Flatten as Flatten
from graphnet.layers.reshaping.permute import Permute as Permute
from graphnet.layers.reshaping.repeat_vector import RepeatVector as RepeatVector
from graphnet.layers.reshaping.rescaling import Rescaling as Rescaling
from graphnet.layers.reshaping.reshape import Reshape as Reshape
from graphnet.layers.reshaping.resizing import CenterCrop as CenterCrop
from graphnet.layers.reshaping.resizing import Resizing as Resizing
from graphnet.layers.reshaping.up_sampling import UpSampling1D as UpSampling1D
from graphnet.layers.reshaping.up_sampling import UpSampling2D as UpSampling2D
from graphnet.layers.reshaping.up_sampling import UpSampling3D as UpSampling3D
from graphnet.layers.reshaping.zero_padding import ZeroPadding1D as ZeroPadding1D
from graphnet.layers.reshaping.zero_padding import ZeroPadding2D as ZeroPadding2D
from graphnet.layers.reshaping.zero_padding import ZeroPadding3D as ZeroPadding3D

__all__ = [
    "CenterCrop", "Cropping1D", "Cropping2D", "Cropping3D", "Flatten", "Permute", "RepeatVector", "Rescaling", "Reshape",
    "Resizing",
    "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
]
