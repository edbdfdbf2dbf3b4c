"""The files of a folder whose folders are classes, and their labels."""
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphnet.utils.numerical import to_categorical


@dataclass(frozen=True)
class Listing:
    """Paths with the labels of their classes, as batches hold them, and the classes' names."""

    paths: list[str]
    labels: np.ndarray | None
    class_names: list[str] | None

    def of(self, order: np.ndarray) -> "Listing":
        """Those with these numbers."""
        return replace(self, paths=[self.paths[i] for i in order], labels=None if self.labels is None else self.labels[order])

    def part(self, name: str | None, fraction: float) -> "Listing":
        """The last files for "validation", those before them for "training", all for None."""
        at = len(self.paths) - int(fraction * len(self.paths))
        numbers = np.arange(len(self.paths))
        return self.of({"training": numbers[:at], "validation": numbers[at:], None: numbers}[name])


@dataclass(frozen=True)
class Folder:
    """A folder as the arguments of image_dataset_from_directory say how to read it; ``who`` begins the errors."""

    directory: Any
    labels: Any
    label_mode: str | None
    class_names: Sequence[str] | None
    follow_links: bool
    who: str
    endings: tuple[str, ...]

    def listing(self) -> Listing:
        """Its files, sorted by folder and name."""
        if self.label_mode not in ("int", "binary", "categorical", None):
            raise ValueError(
                f'{self.who} expects label_mode to be "int", "binary", "categorical" or None; received {self.label_mode!r}.')
        inferred = isinstance(self.labels, str) and self.labels == "inferred" and self.label_mode is not None
        if self.class_names is not None and not inferred:
            raise ValueError(f'{self.who} takes class_names with labels="inferred" only.')
        paths, labels, names = self._by_folder() if inferred else self._given()
        if labels is None:
            return Listing(paths, None, None)
        if self.label_mode == "binary" and len(names) != 2:
            raise ValueError(f'{self.who} expects two classes for label_mode="binary"; found {names}.')
        if self.label_mode == "binary":
            labels = labels.astype("float32")[:, None]
        elif self.label_mode == "categorical":
            labels = to_categorical(labels, len(names)).astype("float32")
        return Listing(paths, labels, names)

    def _given(self) -> tuple[list[str], np.ndarray | None, list[str]]:
        """All files below the folder, with the labels that the user gives."""
        paths, labels = self._walk(os.fspath(self.directory)), self.labels
        if labels is None or self.label_mode is None:
            return paths, None, []
        if not isinstance(labels, (list, tuple, np.ndarray)) or len(labels) != len(paths):
            raise ValueError(f'{self.who} expects labels to be "inferred", None, or one for each of the {len(paths)} files; '
                             f"received {labels!r}.")
        return paths, np.asarray(labels, "int32"), [str(label) for label in sorted(set(labels))]

    def _by_folder(self) -> tuple[list[str], np.ndarray, list[str]]:
        """The files of each class's folder."""
        with os.scandir(self.directory) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        names = folders if self.class_names is None else list(self.class_names)
        if not set(names) <= set(folders):
            raise ValueError(f"{self.who} expects class_names among the folders {folders}; received {names}.")
        listed = [self._walk(os.path.join(self.directory, name)) for name in names]
        labels = np.repeat(np.arange(len(names), dtype="int32"), [len(paths) for paths in listed])
        return [path for paths in listed for path in paths], labels, names

    def _walk(self, directory: str) -> list[str]:
        folders = sorted((root, files) for root, _, files in os.walk(directory, followlinks=self.follow_links))
        return [os.path.join(root, name) for root, files in folders for name in sorted(files)
                if name.lower().endswith(self.endings)]


def check_split(who: str, fraction: float | None, subset: str | None, shuffle: bool, seed: int | None) -> None:
    """ValueError where a part of a folder is asked for in a way that does not fit."""
    if fraction and not 0 < fraction < 1:
        raise ValueError(f"{who} expects validation_split to be between 0 and 1; received {fraction!r}.")
    if bool(fraction) != bool(subset) or subset not in ("training", "validation", "both", None):
        raise ValueError(f'{who} expects validation_split together with subset, "training", "validation" or "both"; received '
                         f"validation_split={fraction!r}, subset={subset!r}.")
    if fraction and shuffle and seed is None and subset != "both":
        raise ValueError(f"{who} expects a seed where a shuffled folder is split, so that both parts are cut from one order.")
