"""Networks that users know from Keras, with its names of layers and order of weights."""
from graphnet.applications import densenet as densenet
from graphnet.applications import imagenet_utils as imagenet_utils
from graphnet.applications import mobilenet as mobilenet
from graphnet.applications import mobilenet_v2 as mobilenet_v2
from graphnet.applications import resnet as resnet
from graphnet.applications import resnet50 as resnet50
from graphnet.applications import resnet_v2 as resnet_v2
from graphnet.applications import vgg16 as vgg16
from graphnet.applications import vgg19 as vgg19
from graphnet.applications import xception as xception
from graphnet.applications.densenet import DenseNet121 as DenseNet121
from graphnet.applications.densenet import DenseNet169 as DenseNet169
from graphnet.applications.densenet import DenseNet201 as DenseNet201
from graphnet.applications.mobilenet import MobileNet as MobileNet
from graphnet.applications.mobilenet_v2 import MobileNetV2 as MobileNetV2
from graphnet.applications.resnet import ResNet50 as ResNet50
from graphnet.applications.resnet import ResNet101 as ResNet101
from graphnet.applications.resnet import ResNet152 as ResNet152
from graphnet.applications.resnet_v2 import ResNet50V2 as ResNet50V2
from graphnet.applications.resnet_v2 import ResNet101V2 as ResNet101V2
from graphnet.applications.resnet_v2 import ResNet152V2 as ResNet152V2
from graphnet.applications.vgg16 import VGG16 as VGG16
from graphnet.applications.vgg19 import VGG19 as VGG19
from graphnet.applications.xception import Xception as Xception

__all__ = [
    "DenseNet121", "DenseNet169", "DenseNet201", "MobileNet", "MobileNetV2", "ResNet101", "ResNet101V2", "ResNet152",
    "ResNet152V2", "ResNet50",
    "ResNet50V2", "VGG16", "VGG19", "Xception", "densenet", "imagenet_utils", "mobilenet", "mobilenet_v2", "resnet", "resnet50",
    "resnet_v2",
    "vgg16", "vgg19", "xception",
]
