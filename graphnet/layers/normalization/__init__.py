"""Normalization: of batches, samples, groups of channels, kernels, and of features by statistics of a data set."""
from graphnet.layers.normalization.batch_normalization import BatchNormalization as BatchNormalization
from graphnet.layers.normalization.feature_normalization import Normalization as Normalization
from graphnet.layers.normalization.group_normalization import GroupNormalization as GroupNormalization
from graphnet.layers.normalization.layer_normalization import LayerNormalization as LayerNormalization
from graphnet.layers.normalization.rms_normalization import RMSNormalization as RMSNormalization
from graphnet.layers.normalization.spectral_normalization import SpectralNormalization as SpectralNormalization
from graphnet.layers.normalization.unit_normalization import UnitNormalization as UnitNormalization

__all__ = [
    "BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization", "RMSNormalization",
    "SpectralNormalization", "UnitNormalization",
]
