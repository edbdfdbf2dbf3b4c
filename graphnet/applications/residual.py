"""The residual networks of both versions: blocks of three convolutions, beside a shortcut."""
from typing import Any

from graphnet import layers
from graphnet.applications.network import Options, build, channel_axis
from graphnet.models import Model

EPSILON = 1.001e-5


def _normal(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), epsilon=EPSILON, name=name)(x)


def _active(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=name)(x)


def _block_v1(x: Any, filters: int, stride: int, project: bool, name: str) -> Any:
    """Each convolution is normalized; the sum is activated."""
    shortcut = x
    if project:
        shortcut = _normal(layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x), f"{name}_0_bn")
    x = _normal(layers.Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x), f"{name}_1_bn")
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(_active(x, f"{name}_1_relu"))
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(_active(_normal(x, f"{name}_2_bn"), f"{name}_2_relu"))
    x = layers.Add(name=f"{name}_add")([shortcut, _normal(x, f"{name}_3_bn")])
    return _active(x, f"{name}_out")


def _block_v2(x: Any, filters: int, stride: int, project: bool, name: str) -> Any:
    """Normalization and activation come before each convolution; the sum stays as it is."""
    before = _active(_normal(x, f"{name}_preact_bn"), f"{name}_preact_relu")
    if project:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(before)
    else:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = layers.Conv2D(filters, 1, strides=1, use_bias=False, name=f"{name}_1_conv")(before)
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(_active(_normal(x, f"{name}_1_bn"), f"{name}_1_relu"))
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(_active(_normal(x, f"{name}_2_bn"), f"{name}_2_relu"))
    return layers.Add(name=f"{name}_out")([shortcut, x])


def resnet(options: Options, blocks: tuple[int, ...], kind: str, before: bool = False) -> Model:
    """ResNet with so many blocks in each of its four stages; `before`: those of version 2."""
    options.check()
    stages = list(zip(blocks, (64, 128, 256, 512), range(2, 6), strict=True))

    def features(x: Any) -> Any:
        x = layers.ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
        x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
        if not before:
            x = _active(_normal(x, "conv1_bn"), "conv1_relu")
        x = layers.ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
        for count, filters, stage in stages:
            for i in range(1, count + 1):
                name = f"conv{stage}_block{i}"
                if before:  # the last block of a stage shrinks the image, that of the last stage excepted
                    x = _block_v2(x, filters, 2 if i == count and stage < 5 else 1, i == 1, name)
                else:  # the first one does, that of the first stage excepted
                    x = _block_v1(x, filters, 2 if i == 1 and stage > 2 else 1, i == 1, name)
        return _active(_normal(x, "post_bn"), "post_relu") if before else x

    return build(options, options.shape(224, 32), features,
                 lambda top: f"resnet/{kind}_weights_tf_dim_ordering_tf_kernels{'' if top else '_notop'}.h5")
