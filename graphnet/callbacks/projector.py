"""Tables of Embedding layers as files for TensorBoard's projector."""
import os
from typing import Any

import numpy as np

from graphnet.files import write_whole
from graphnet.layers import Embedding


def configure(model: Any, log_dir: str, metadata: Any) -> None:
    """Writes ``projector_config.pbtxt``, which names the table of each Embedding and the file with the words of its rows.

    Raises ValueError where ``metadata`` names layers that are no Embedding.
    """
    from google.protobuf import text_format  # what tensorboard brings
    from tensorboard.plugins.projector import ProjectorConfig
    layers = [layer for layer in model.layers if isinstance(layer, Embedding)]
    files = dict(metadata) if isinstance(metadata, dict) else {layer.name: metadata for layer in layers if metadata}
    config = ProjectorConfig()
    for layer in layers:
        entry = config.embeddings.add(tensor_name=layer.name, tensor_path=f"{layer.name}.tsv")
        if layer.name in files:
            entry.metadata_path = str(files.pop(layer.name))
    if files:
        raise ValueError(f"TensorBoard expects embeddings_metadata to name Embedding layers; received {', '.join(files)}. "
                         f"There are: {', '.join(layer.name for layer in layers) or 'none'}.")
    write_whole(os.path.join(log_dir, "projector_config.pbtxt"), text_format.MessageToString(config))


def write_tables(model: Any, log_dir: str) -> None:
    """Writes the table of each Embedding, a row of numbers a line."""
    for layer in model.layers:
        if isinstance(layer, Embedding):
            rows = ("\t".join(map(repr, row)) for row in np.asarray(layer.embeddings, "float64").tolist())
            write_whole(os.path.join(log_dir, f"{layer.name}.tsv"), "\n".join(rows) + "\n")
