"""Dot source as a file's bytes: by Graphviz where it is installed, else by graphviz-pure."""
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import graphviz

FORMATS = ("png", "svg", "pdf", "dot", "jpg", "jpeg", "ps")
PURE = ("png", "svg", "jpg", "jpeg")  # what graphviz-pure can write


def programs() -> dict[str, str | None]:
    """The programs that can render: Graphviz's `dot`, preferred, and graphviz-pure's, which is installed with graphnet."""
    script = pathlib.Path(sysconfig.get_path("scripts")) / ("graphviz-pure.exe" if sys.platform == "win32" else "graphviz-pure")
    return {"dot": shutil.which("dot"), "graphviz-pure": str(script) if script.exists() else shutil.which("graphviz-pure")}


def render(dot: graphviz.Digraph, kind: str) -> bytes:
    """The picture as png, svg, pdf, jpg or dot source.

    RuntimeError says what to install where nothing here can write that kind.
    """
    kind = kind.lower().lstrip(".")
    if kind not in FORMATS:
        raise ValueError(
            f"plot_model writes {', '.join(FORMATS)}; received the format {kind!r}. End the file's name in one of these."
        )
    if kind == "dot":
        return dot.source.encode("utf-8")
    found = programs()
    program = found["dot"] or (found["graphviz-pure"] if kind in PURE else None)
    if program is None:
        missing = ("graphviz-pure (pip install graphviz-pure) or Graphviz" if kind in PURE
                   else "Graphviz (https://graphviz.org/download), so that `dot` is on the PATH")
        raise RuntimeError(
            f"To write {kind}, install {missing}. png and svg need nothing more than graphviz-pure; dot source needs nothing."
        )
    done = subprocess.run([program, f"-T{kind}"], input=dot.source.encode("utf-8"), capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise RuntimeError(
            f"{pathlib.Path(program).name} could not draw the graph: {done.stderr.decode('utf-8', 'replace').strip()[:500]}"
        )
    return done.stdout
