"""A room imports only from lower levels; files and functions stay short enough to read."""
import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "graphnet"
LEVELS = [
    {"errors", "meanwhile", "settings", "trackable", "tree"},
    {"dtypes", "dims", "files"},
    {"constants", "graph", "registry"},
    {"tracing", "identifiers"},
    {"module"},
    {"masking", "train"},
    {"op"},
    {"config"},
    {"ops", "backends.numpy"},
    {"random"},
    {"autodiff", "passes", "activations", "initializers", "regularizers", "constraints"},
    {"losses"},
    {"metrics", "optimizers"},
    {"layers", "backends.cpu", "backends"},
    {"compiler", "visualization"},
    {"functions", "profiler"},
    {"callbacks", "summary", "saved_model"},
    {"saving", "training"},
    {"models"},
    {"utils"},
    {"applications", "datasets"},
    {"__init__", "__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(parts):
    parts = [p for p in parts if p]
    if not parts:
        return "__init__"
    return ".".join(parts[:2]) if parts[0] == "backends" and len(parts) > 1 else parts[0]


def imports(path):
    """The rooms that a file imports from, with line numbers; those for type checking alone do not count."""
    tree = ast.parse(path.read_text())
    skipped = {n for block in ast.walk(tree) if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
               for n in ast.walk(block)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "graphnet":
            below = node.module.split(".")[1:]
            for alias in node.names:
                yield room(below or [alias.name]), node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("graphnet."):
                    yield room(alias.name.split(".")[1:]), node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    own = room([*path.relative_to(PACKAGE).parts[:-1], path.stem if path.parent == PACKAGE else ""])
    assert own in LEVEL, f"{own} has no level: add the room to the table"
    for other, line in imports(path):
        if other != own:
            assert LEVEL[other] < LEVEL[own], (
                f"{path.relative_to(PACKAGE)}:{line}: {own} (level {LEVEL[own]}) imports {other} (level {LEVEL[other]})"
            )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            documented = (
                isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
            )
            start = first.end_lineno if documented else node.lineno
            assert node.end_lineno - start < 60, f"{node.name} has {node.end_lineno - start} lines"
