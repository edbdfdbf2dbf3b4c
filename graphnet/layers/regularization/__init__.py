"""Layers that act in training only."""
from graphnet.layers.regularization.activity_regularization import ActivityRegularization as ActivityRegularization
from graphnet.layers.regularization.dropout import AlphaDropout as AlphaDropout
from graphnet.layers.regularization.dropout import Dropout as Dropout
from graphnet.layers.regularization.dropout import GaussianDropout as GaussianDropout
from graphnet.layers.regularization.dropout import GaussianNoise as GaussianNoise
from graphnet.layers.regularization.spatial_dropout import SpatialDropout1D as SpatialDropout1D
from graphnet.layers.regularization.spatial_dropout import SpatialDropout2D as SpatialDropout2D
from graphnet.layers.regularization.spatial_dropout import SpatialDropout3D as SpatialDropout3D

__all__ = ["ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D",
           "SpatialDropout2D", "SpatialDropout3D"]
