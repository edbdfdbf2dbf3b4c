"""ResNet50, under the name that Keras has for it alone."""
from graphnet.applications.resnet import ResNet50 as ResNet50
from graphnet.applications.resnet import decode_predictions as decode_predictions
from graphnet.applications.resnet import preprocess_input as preprocess_input
