"""Layers that join several inputs, and the same as functions."""
from graphnet.layers.merging.concatenate import Concatenate as Concatenate
from graphnet.layers.merging.dot import Dot as Dot
from graphnet.layers.merging.elementwise import Add as Add
from graphnet.layers.merging.elementwise import Average as Average
from graphnet.layers.merging.elementwise import Maximum as Maximum
from graphnet.layers.merging.elementwise import Minimum as Minimum
from graphnet.layers.merging.elementwise import Multiply as Multiply
from graphnet.layers.merging.elementwise import Subtract as Subtract
from graphnet.layers.merging.functions import add as add
from graphnet.layers.merging.functions import average as average
from graphnet.layers.merging.functions import concatenate as concatenate
from graphnet.layers.merging.functions import dot as dot
from graphnet.layers.merging.functions import maximum as maximum
from graphnet.layers.merging.functions import minimum as minimum
from graphnet.layers.merging.functions import multiply as multiply
from graphnet.layers.merging.functions import subtract as subtract

__all__ = ["Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract",
           "add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract"]
