"""The passes of the compiler, in order. Each takes a Graph and returns a Graph, changes no graph, and does what its name says."""
import sys
from collections.abc import Callable

from graphnet.graph import Graph
from graphnet.passes.bodies import bodies
from graphnet.passes.cse import cse
from graphnet.passes.fold import fold
from graphnet.passes.fold_normalization import fold_normalization
from graphnet.passes.fold_repeat import fold_repeat
from graphnet.passes.fuse import fuse
from graphnet.passes.fuse_attention import fuse_attention
from graphnet.passes.fuse_bottleneck import fuse_bottleneck
from graphnet.passes.fuse_separable import fuse_separable
from graphnet.passes.merge_products import merge_products
from graphnet.passes.simplify import simplify
from graphnet.settings import settings

PASSES: tuple[Callable[[Graph], Graph], ...] = (bodies, simplify, fold, cse, fuse_attention, fold_normalization, fold_repeat, simplify,
                                                merge_products, fuse, fuse_separable, fuse_bottleneck)


def run_passes(graph: Graph, stop_before: str | None = None) -> Graph:
    """The graph after all passes but those that GRAPHNET_DISABLE names; dumped and verified as the settings say."""
    names = {step.__name__ for step in PASSES}
    if unknown := settings.disable - names:
        raise ValueError(f"GRAPHNET_DISABLE expects names of passes, which are {', '.join(sorted(names))}; received {', '.join(sorted(unknown))}.")
    show(graph, 0, "inline")
    for number, step in enumerate(PASSES, 1):
        if step.__name__ == stop_before:
            break
        if step.__name__ in settings.disable:
            continue
        graph = step(graph)
        show(graph, number, step.__name__)
        if settings.verify:
            graph.verify()
    return graph


def show(graph: Graph, number: int, name: str) -> None:
    """Prints the graph under GRAPHNET_DEBUG=3 and writes it under GRAPHNET_DUMP."""
    if settings.debug >= 3:
        print(f"# after {name}\n{graph}", file=sys.stderr)
    if settings.dump is not None:
        settings.dump.mkdir(parents=True, exist_ok=True)
        (settings.dump / f"{graph.name.replace('/', '_')}_{number}_{name}.txt").write_text(f"{graph}\n")
