"""Restoration: a checkpoint's values on their way to the objects that they are for, some of which are not made yet."""
import copy
import warnings
import weakref
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphnet.errors import FileFormatError
from graphnet.graph import Variable
from graphnet.trackable import Trackable
from graphnet.train.layout import Index, loosened
from graphnet.train.parts import decoded, encoded, is_container, is_leaf, parts_of


class Pending:
    """What an object keeps while a restoration is not at its end: its node, and the paths to its parts that were matched.

    A path is matched once: a part that takes the place of another later is the user's, and keeps its values.
    """

    def __init__(self, restoration: "Restoration", node: int, matched: set[tuple[str, ...]] | None = None) -> None:
        self.restoration, self.node, self.matched = restoration, node, set(matched or ())

    def resume(self, owner: Trackable) -> None:
        """Matches parts that are new."""
        if self.restoration.left:
            self.restoration.bind(owner, self.node)
        else:
            owner.__dict__.pop("_untracked_pending", None)

    def __deepcopy__(self, memo: Any) -> "Pending":
        return Pending(copy.deepcopy(self.restoration, memo), self.node, self.matched)

    def __reduce__(self) -> Any:
        return type(None), ()  # what is pickled waits for nothing


class Found:
    """What one walk has found; nothing is changed before all of it is checked."""

    def __init__(self) -> None:
        self.bound: dict[int, tuple[Any, int]] = {}
        self.pendings: dict[int, tuple[Trackable, Pending]] = {}
        self.paths: list[tuple[Pending, tuple[str, ...]]] = []
        self.conflicts: list[str] = []


class Restoration:
    """One `restore` of a checkpoint that was read: matches objects with nodes by the names of the edges that lead to them."""

    def __init__(self, source: str, index: Index, values: dict[str, np.ndarray]) -> None:
        self.source, self.nodes = source, index.nodes
        self.left = _paths(index.nodes)  # node -> key, of values that no object has got yet
        self._values = {number: values[node["value"]] for number, node in enumerate(index.nodes) if node["value"] is not None}
        references = Counter(child for node in index.nodes for child in node["children"].values())
        self._shared = {number for number, count in references.items() if count > 1}  # may go to several objects
        self._bound: dict[int, tuple[weakref.ref[Any], int]] = {}
        self.flags = {"quiet": False}

    def __deepcopy__(self, memo: Any) -> "Restoration":
        """What copies of the objects wait for, which get their values whether the objects themselves do or not."""
        twin = copy.copy(self)
        twin.left, twin._values, twin._bound, twin.flags = dict(self.left), dict(self._values), {}, dict(self.flags)
        return twin

    def watch(self) -> None:
        """Has it said, when nothing can be restored any more, what has not been."""
        weakref.finalize(self, _report, self.source, self.left, self.flags)

    def node_of(self, thing: Any) -> int | None:
        """The node that an object is matched with."""
        found = self._bound.get(id(thing))
        return found[1] if found is not None and found[0]() is thing else None

    def bind(self, owner: Trackable, node: int, whole: bool = False) -> None:
        """Matches what lies below an object of a node, and is not matched yet, and gives it its values; `whole` looks below
        what is matched, too.

        Raises FileFormatError where shapes or dtypes do not fit; nothing is changed then.
        """
        found = self._match(owner, node, whole)
        for pending, path in found.paths:  # also of what does not fit: it is said once
            pending.matched.add(path)
        new = [(thing, number) for thing, number in found.bound.values() if is_leaf(thing) and number in self._values]
        self._check(new)
        _give([(thing, self._values[number], self.nodes[number]["state"]) for thing, number in new])
        for thing, number in found.bound.values():
            self._bound[id(thing)] = weakref.ref(thing), number
            self.left.pop(number, None)
            if number not in self._shared:
                self._values.pop(number, None)
        for thing, pending in found.pendings.values():
            if self.left:
                thing.__dict__["_untracked_pending"] = pending
            else:
                thing.__dict__.pop("_untracked_pending", None)  # an older restoration's: the last one counts
        self._values = loosened(self._values) if self.left else {}
        if found.conflicts:
            warnings.warn(f"Checkpoint {self.source} has values of its own for objects that are one object here; the first is "
                          f"taken. {' '.join(found.conflicts[:5])}", stacklevel=2)

    def _match(self, owner: Trackable, node: int, whole: bool) -> Found:
        found = Found()
        found.bound[id(owner)] = owner, node
        waiting = deque([(owner, node)])
        walked = {id(owner)}
        while waiting:
            thing, at = waiting.popleft()
            pending = thing.__dict__.get("_untracked_pending")
            if pending is None or pending.restoration is not self:
                pending = Pending(self, at)
                found.pendings[id(thing)] = thing, pending
            for path, part, below in self._edges(thing, at):
                known = found.bound[id(part)][1] if id(part) in found.bound else self.node_of(part)
                new = path not in pending.matched
                if new:
                    found.paths.append((pending, path))
                if new and known is None:
                    found.bound[id(part)] = part, below
                elif new and known != below and is_leaf(part):
                    found.conflicts.append(f"{'/'.join(path)} is both {self._name(known)} and {self._name(below)}.")
                descend = known is None if new else whole and known == below
                if descend and isinstance(part, Trackable) and id(part) not in walked:
                    walked.add(id(part))
                    waiting.append((part, below))
        return found

    def _edges(self, owner: Trackable, node: int) -> Iterator[tuple[tuple[str, ...], Any, int]]:
        """The parts that the object and its node have both, also those inside lists and dicts: path, part, its node."""
        stack: list[tuple[tuple[str, ...], Any, int]] = [((), owner, node)]
        seen = set()
        while stack:
            path, thing, at = stack.pop()
            for name, part in parts_of(thing).items():
                below = self.nodes[at]["children"].get(name)
                if below is None or is_leaf(part) != (self.nodes[below]["value"] is not None):
                    continue
                if not is_container(part):
                    yield (*path, name), part, below
                elif (id(part), below) not in seen:
                    seen.add((id(part), below))
                    stack.append(((*path, name), part, below))

    def _name(self, node: int | None) -> str:
        value = self.nodes[node]["value"] if node is not None else None
        return repr(value) if value else f"node {node}"

    def _check(self, pairs: list[tuple[Any, int]]) -> None:
        misfits = []
        for thing, number in pairs:
            node, value = self.nodes[number], self._values[number]
            if isinstance(thing, Variable) != (node["state"] is None):
                misfits.append(f"{node['value']} is {'a PythonState' if node['state'] else 'a variable'} in the checkpoint; "
                               f"the object there is a {type(thing).__name__}.")
            elif isinstance(thing, Variable) and (thing.shape != value.shape or thing.dtype != value.dtype.name):
                misfits.append(f"variable {thing.path!r} expects shape {thing.shape} and dtype {thing.dtype}; the "
                               f"checkpoint's {node['value']} has shape {value.shape} and dtype {value.dtype.name}.")
        if misfits:
            more = f" And {len(misfits) - 5} more." if len(misfits) > 5 else ""
            raise FileFormatError(f"Checkpoint {self.source} does not fit: {' '.join(misfits[:5])}{more} Nothing was changed. "
                                  "Restore into objects made as those that were saved.")


def _paths(nodes: list[dict[str, Any]]) -> dict[int, str]:
    """The keys of the values that can be reached from the root, by node."""
    seen, waiting = {0}, deque([0])
    while waiting:
        for child in nodes[waiting.popleft()]["children"].values():
            if child not in seen:
                seen.add(child)
                waiting.append(child)
    return {number: nodes[number]["value"] for number in sorted(seen) if nodes[number]["value"] is not None}


def _give(given: list[tuple[Any, np.ndarray, str | None]]) -> None:
    """Gives all their values: Python objects first, as theirs is code that may fail; then all are as they were."""
    before: list[tuple[Any, Any]] = []
    try:
        for thing, value, state in given:
            if state is not None:
                decode = decoded(value, state)
                before.append((thing, decoded(*_state(thing))))
                thing.deserialize(decode)
    except BaseException:
        for thing, old in before:
            thing.deserialize(old)
        raise
    for thing, value, state in given:
        if state is None:
            thing.assign_now(value)  # inside of a trace as well, which reads it when it runs


def _state(thing: Any) -> tuple[np.ndarray, str]:
    array, kind = encoded(thing)
    return array, kind or "bytes"


def _report(source: str, left: dict[int, str], flags: dict[str, bool]) -> None:
    """Says, when nothing can be restored any more, what has not been."""
    if left and not flags["quiet"]:
        listed = ", ".join(list(left.values())[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
        warnings.warn(f"Checkpoint {source}: values in it were given to no object: {listed}. If that is meant, say so: "
                      "restore(path).expect_partial().", stacklevel=2)
