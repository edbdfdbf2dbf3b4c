"""What `restore` gives: whether all found its place, asked when the objects are made."""
from typing import Any, NoReturn, Self

from graphnet.train.parts import is_leaf, reached
from graphnet.train.restoration import Restoration

COUNTER = "save_counter"


class RestoreStatus:
    """The state of a `Checkpoint.restore` or `read`. Values of variables that are made later are given to them then.

    Source: https://www.tensorflow.org/guide/checkpoint
    """

    def __init__(self, root: Any, restoration: Restoration) -> None:
        self._root, self._restoration = root, restoration

    def _settle(self) -> None:
        """Matches what has come into lists and dicts since, which nobody notices."""
        if self._restoration.left:
            self._restoration.bind(self._root, 0, whole=True)

    def _unmatched(self) -> list[str]:
        """Paths of variables and states that got nothing; the counter, which not every file has, aside."""
        return [path for thing, path in reached(self._root)
                if is_leaf(thing) and path != COUNTER and self._restoration.node_of(thing) is None]

    def assert_consumed(self) -> Self:
        """All values of the checkpoint were given to objects, and all variables got one; else AssertionError, with a list
        of them.
        """
        self.assert_existing_objects_matched()
        counter = self._restoration.nodes[0]["children"].get(COUNTER)
        left = [key for node, key in self._restoration.left.items() if node != counter]
        if left:
            self._fail("values in it were given to no object", left, "Call the model on data first, where it makes its "
                       "variables then.")
        return self

    def assert_existing_objects_matched(self) -> Self:
        """All variables that there are now got a value; else AssertionError."""
        self._settle()
        unmatched = self._unmatched()
        if unmatched:
            self._fail("it holds no value for", unmatched, "Their paths must be those that were saved.")
        self._restoration.flags["quiet"] = True
        return self

    def assert_nontrivial_match(self) -> Self:
        """Something besides the root was matched; else AssertionError."""
        self._settle()
        paths = (path for thing, path in reached(self._root) if self._restoration.node_of(thing) is not None)
        if all(path in ("", COUNTER) for path in paths):
            self._fail("nothing in it has the path of an object here; it has", list(self._restoration.left.values()),
                       "Give Checkpoint the arguments that it had when it was saved.")
        return self

    def expect_partial(self) -> Self:
        """Says that values may be left over: no warning is given about them."""
        self._restoration.flags["quiet"] = True
        return self

    def initialize_or_restore(self, session: Any = None) -> None:
        """Does nothing: variables have values from their first moment. For programs that were written for TensorFlow."""

    def _fail(self, what: str, paths: list[str], mend: str) -> NoReturn:
        listed = ", ".join(paths[:10]) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")
        raise AssertionError(f"Checkpoint {self._restoration.source}: {what}: {listed}. {mend}")


class NothingRestored:
    """What `restore(None)` gives: there is no checkpoint yet, and nothing was changed."""

    def assert_consumed(self) -> NoReturn:
        """Raises AssertionError: nothing was restored."""
        raise AssertionError("Nothing was restored: restore received None in place of a path, as latest_checkpoint gives it "
                             "where there is no checkpoint yet.")

    assert_existing_objects_matched = assert_nontrivial_match = assert_consumed

    def expect_partial(self) -> Self:
        """Does nothing."""
        return self

    def initialize_or_restore(self, session: Any = None) -> None:
        """Does nothing."""
