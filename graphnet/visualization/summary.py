"""The table that `model.summary()` prints."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphnet.visualization.table import render, shares


@dataclass(frozen=True)
class Row:
    """One layer in the table; `depth` counts the nested models around it, and of several connections each has a line."""

    name: str
    class_name: str
    shape: str
    params: int | None
    connected: tuple[str, ...] = ()
    trainable: bool | None = None
    depth: int = 0


@dataclass(frozen=True)
class Totals:
    """Values and bytes of all, trainable and other parameters."""

    params: tuple[int, int, int]
    nbytes: tuple[int, int, int]


def readable(nbytes: float) -> str:
    """Bytes with a unit, as in 215.04 KB."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if nbytes < 1024 or unit == "TB":
            return f"{nbytes:.2f} {unit}"
        nbytes /= 1024
    raise AssertionError("unreachable")


def summary_text(
    name: str,
    rows: Sequence[Row],
    totals: Totals,
    line_length: int,
    connections: bool = False,
    show_trainable: bool = False,
    positions: Sequence[float] | None = None,
) -> str:
    """The whole text: a title, the table, the totals."""
    header, align = ["Layer (type)", "Output Shape", "Param #"], "llr"
    weights, least = [45.0, 34.0, 21.0], [16, 12, 8]
    if connections:
        header, align = [*header, "Connected to"], align + "l"
        weights, least = [30.0, 26.0, 17.0, 27.0], [*least, 12]
    if show_trainable:
        header, align = [*header, "Trainable"], align + "c"
        weights, least = [*weights, 12.0], [*least, 9]
    if positions:
        steps = [b - a for a, b in zip([0.0, *positions[:-1]], positions, strict=True)]
        weights = list(steps[:len(weights)]) + weights[len(steps):]
    cells = []
    for row in rows:
        params = "0 (unbuilt)" if row.params is None else f"{row.params:,}"
        line = [f"{'   ' * row.depth}{'└ ' if row.depth else ''}{row.name} ({row.class_name})", row.shape, params]
        if connections:
            line.append(",\n".join(row.connected) or "-")
        if show_trainable:
            line.append("-" if row.trainable is None else "Y" if row.trainable else "N")
        cells.append(line)
    table = render(header, cells, shares(line_length, weights, least), align)
    lines = [f'Model: "{name}"', table]
    for label, count, nbytes in zip(("Total", "Trainable", "Non-trainable"), totals.params, totals.nbytes, strict=True):
        lines.append(f" {label} params: {count:,} ({readable(nbytes)})")
    return "\n".join(lines)


def show(text: str, print_fn: Callable[[str], Any] | None) -> None:
    (print if print_fn is None else print_fn)(text)
