"""A table of boxes for terminals and notebooks, whose cells wrap and are never cut."""
import textwrap
from collections.abc import Sequence

Cell = str


def wrapped(cell: Cell, width: int) -> list[str]:
    """The lines of a cell in a column of that width; words longer than the column are broken, the first line keeps its indent.
    """
    lines: list[str] = []
    for part in cell.split("\n"):
        text = part.lstrip()
        lines += textwrap.wrap(text, max(width, 1), initial_indent=part[:len(part) - len(text)], break_on_hyphens=False) or [""]
    return lines


def render(header: Sequence[str], rows: Sequence[Sequence[Cell]], widths: Sequence[int], align: str) -> str:
    """The table as text. `align` has one of l, r, c for each column; widths count the characters inside a column's padding."""
    def rule(left: str, line: str, cross: str, right: str) -> str:
        return left + cross.join(line * (w + 2) for w in widths) + right

    def row(cells: Sequence[Cell], bar: str) -> list[str]:
        columns = [wrapped(c, w) for c, w in zip(cells, widths, strict=True)]
        height = max(map(len, columns))
        out = []
        for i in range(height):
            parts = []
            for lines, width, side in zip(columns, widths, align, strict=True):
                text = lines[i] if i < len(lines) else ""
                parts.append({"l": text.ljust, "r": text.rjust, "c": text.center}[side](width))
            out.append(f"{bar} " + f" {bar} ".join(parts) + f" {bar}")
        return out

    lines = [rule("┏", "━", "┳", "┓"), *row(header, "┃"), rule("┡", "━", "╇", "┩")]
    for i, cells in enumerate(rows):
        lines += ([rule("├", "─", "┼", "┤")] if i else []) + row(cells, "│")
    return "\n".join([*lines, rule("└", "─", "┴", "┘")])


def shares(total: int, weights: Sequence[float], least: Sequence[int]) -> list[int]:
    """Widths of columns that fill a line of `total` characters in the given shares, none below its least."""
    room = total - 3 * len(weights) - 1
    scale = sum(weights)
    widths = [max(int(room * w / scale), low) for w, low in zip(weights, least, strict=True)]
    widths[0] = max(least[0], widths[0] + room - sum(widths))
    return widths
