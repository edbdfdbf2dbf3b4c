"""What a saved model holds, as text: for `python -m graphnet saved_model show DIR`."""
import os
from typing import Any

from graphnet.saved_model.functions import LoadedFunction
from graphnet.saved_model.graphs import ops_of
from graphnet.saved_model.objects import Loaded
from graphnet.saved_model.reader import read_contents


def show(path: Any) -> str:
    """A saved model's signatures, functions with their graphs, variables and files, as text. Raises as `load` does.

    Example:

        >>> import graphnet, os, tempfile
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     graphnet.saved_model.save(model, os.path.join(folder, "model"))
        ...     text = graphnet.saved_model.show(os.path.join(folder, "model"))
        >>> "serving_default" in text
        True
    """
    found = read_contents(path)
    lines = ["signatures"]
    lines += _functions(found.root().signatures, "  ") or ["  none"]
    lines.append("functions")
    for entry, made in zip(found.body["objects"], found.objects, strict=True):
        if isinstance(made, Loaded) and made._untracked_functions:
            lines += [f"  of {entry['kind']} {made.name!r}", *_functions(made._untracked_functions, "    ")]
    size = sum(v.value.nbytes for v in found.variables)
    lines.append(f"variables: {len(found.variables)}, {size:,} bytes")
    for entry, v in zip(found.body["variables"], found.variables, strict=True):
        lines.append(f"  {entry['key'].rsplit('/.ATTRIBUTES', 1)[0]}: {v.dtype}{list(v.shape)}{'' if v.trainable else ', not trainable'}")
    lines.append("files")
    folder = os.path.expanduser(os.fspath(path))
    for where, _, files in sorted(os.walk(folder)):
        for name in sorted(files):
            full = os.path.join(where, name)
            lines.append(f"  {os.path.relpath(full, folder)}: {os.path.getsize(full):,} bytes")
    return "\n".join(lines)


def _functions(functions: dict[str, LoadedFunction], indent: str) -> list[str]:
    lines = []
    for name, function in functions.items():
        lines.append(f"{indent}{name}: {len(function.forms)} graph(s)")
        lines += [f"{indent}  {concrete}: {ops_of(concrete.primitive)} ops" for concrete in function.concrete_functions]
    return lines
