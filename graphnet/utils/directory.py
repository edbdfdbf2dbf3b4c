"""image_dataset_from_directory, text_dataset_from_directory: files in a folder for each class."""
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet import config, dtypes, ops
from graphnet.errors import DataError, UnsupportedError
from graphnet.utils.images import check_color_mode, open_image
from graphnet.utils.listing import Folder, Listing, check_split
from graphnet.utils.samples import Samples, check_format, drawn_seed
from graphnet.visualization.progress import message

_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_WORKERS = 4  # threads that read files at once; Pillow decodes without holding Python's lock


class _Files(Samples):
    """Files read by ``read``, stacked by ``stack``, with the labels of their classes."""

    def __init__(self, listing: Listing, read: Callable[[str], Any], stack: Callable[[list[Any]], Any], *args: Any) -> None:
        super().__init__(np.arange(len(listing.paths)), *args, workers=min(_WORKERS, os.cpu_count() or 1))
        self.read, self.stack, self.labels = read, stack, listing.labels
        self.file_paths, self.class_names = listing.paths, listing.class_names

    def batch(self, numbers: np.ndarray) -> Any:
        x = self.stack([self.read(self.file_paths[i]) for i in numbers])
        return x if self.labels is None else (x, self.labels[numbers])


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str | None = None,
    verbose: bool = True,
) -> Any:
    """A PyDataset of the pictures in a folder, whose folders are the classes: batches of (x, y), or of x without labels.

    Arguments: ``labels`` "inferred", None, or a number for each file in their order (folders and names sorted);
    ``label_mode`` "int" (int32, (n,)), "binary" (float32, (n, 1)), "categorical" (float32, (n, classes)), None;
    ``class_names`` the folders, in an order of one's own; ``color_mode`` "grayscale", "rgb", "rgba"; ``batch_size`` None for
    single pictures; ``image_size`` (height, width), to which pictures are brought by ``interpolation`` "nearest", "bilinear",
    "bicubic", "lanczos3", "lanczos5", with ``crop_to_aspect_ratio`` or ``pad_to_aspect_ratio`` in their form; ``shuffle`` by
    ``seed``, anew for each epoch; ``subset`` "training", "validation" or "both" (a list of the two) of a
    ``validation_split``. Pictures are bmp, gif (the first of several), jpeg, png, read by Pillow as float32 from 0 to 255.
    The data set has `class_names` and `file_paths`. Raises ValueError, DataError. Source:
    https://keras.io/api/data_loading/image/

    Example:

        >>> import graphnet, numpy, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("cats", "dogs"):
        ...         os.mkdir(os.path.join(folder, name))
        ...         graphnet.utils.save_img(os.path.join(folder, name, "1.png"), numpy.ones((8, 8, 3)))
        ...     data = graphnet.utils.image_dataset_from_directory(folder, image_size=(4, 4), verbose=False)
        ...     x, y = data[0]
        >>> x.shape, data.class_names
        ((2, 4, 4, 3), ['cats', 'dogs'])
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise ValueError(f"image_dataset_from_directory expects image_size=(height, width); received {image_size!r}.")
    interpolation = interpolation.lower()
    if interpolation in ("area", "gaussian", "mitchellcubic"):
        raise UnsupportedError(
            f"image_dataset_from_directory does not interpolate by {interpolation!r}; take 'bilinear' or 'bicubic'."
        )
    ops.image.resize(np.zeros((2, 2, 1), "float32"), size, interpolation, False, crop_to_aspect_ratio, pad_to_aspect_ratio)
    check_color_mode(color_mode)
    read = functools.partial(
        _read_picture, color_mode=color_mode, size=tuple(size), interpolation=interpolation, crop=crop_to_aspect_ratio,
        pad=pad_to_aspect_ratio)
    stack = functools.partial(_stack_pictures, layout=config.standardize_data_format(data_format))
    check_format("image_dataset_from_directory", format)
    folder = Folder(directory, labels, label_mode, class_names, follow_links, "image_dataset_from_directory", _PICTURES)
    return _data_sets(folder, read, stack, batch_size, shuffle, seed, validation_split, subset, verbose)


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str | None = None,
    verbose: bool = True,
) -> Any:
    """A PyDataset of the .txt files in a folder, whose folders are the classes: x are arrays of Python's texts, read as UTF-8.

    ``max_length`` cuts longer texts; the other arguments are those of `image_dataset_from_directory`. Texts become numbers
    before a model takes them. Raises ValueError, DataError. Source: https://keras.io/api/data_loading/text/

    Example:

        >>> import graphnet, os, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = os.mkdir(os.path.join(folder, "good")), pathlib.Path(folder, "good", "1.txt").write_text("a fine film")
        ...     x, y = graphnet.utils.text_dataset_from_directory(folder, verbose=False)[0]
        >>> x.tolist(), y.tolist()
        (['a fine film'], [0])
    """
    read = functools.partial(_read_text, max_length=max_length)
    check_format("text_dataset_from_directory", format)
    folder = Folder(directory, labels, label_mode, class_names, follow_links, "text_dataset_from_directory", (".txt",))
    return _data_sets(folder, read, _stack_texts, batch_size, shuffle, seed, validation_split, subset, verbose)


def _read_picture(path: str, color_mode: str, size: tuple[int, int], interpolation: str, crop: bool, pad: bool) -> np.ndarray:
    pixels = np.asarray(open_image(path, color_mode), dtypes.floatx())
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return ops.image.resize(pixels, size, interpolation, False, crop, pad, data_format="channels_last")


def _stack_pictures(pictures: list[np.ndarray], layout: str) -> np.ndarray:
    found = np.stack(pictures)
    return found if layout == "channels_last" else np.ascontiguousarray(found.transpose(0, 3, 1, 2))


def _read_text(path: str, max_length: int | None) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()[:max_length]
    except UnicodeDecodeError as error:
        raise DataError(f"{path!r} is no text in UTF-8: {error}.") from None


def _stack_texts(texts: list[str]) -> np.ndarray:
    return np.array(texts, object)


def _data_sets(
    folder: Folder, read: Callable[[str], Any], stack: Callable[[list[Any]], Any], batch_size: int | None, shuffle: bool,
    seed: int | None, validation_split: float | None, subset: str | None, verbose: bool,
) -> Any:
    """The data set of a folder, or of a part of it, or a list of the two parts."""
    check_split(folder.who, validation_split, subset, shuffle, seed)
    listing = folder.listing()
    if verbose:
        classes = "." if listing.class_names is None else f" belonging to {len(listing.class_names)} classes."
        message(f"Found {len(listing.paths)} files{classes}")
    seed = drawn_seed(seed)
    if shuffle:
        order = np.arange(len(listing.paths))
        np.random.RandomState(seed).shuffle(order)
        listing = listing.of(order)
    found = []
    for name in ("training", "validation") if subset == "both" else (subset,):
        part = listing.part(name, validation_split or 0)
        if not part.paths:
            what = "the data set" if name is None else name
            raise ValueError(f"{folder.who} found no files for {what} in {str(folder.directory)!r}; it takes "
                             f"{', '.join(folder.endings)}.")
        if verbose and name:
            message(f"Using {len(part.paths)} files for {name}.")
        again = shuffle and not (subset == "both" and name == "validation")
        found.append(_Files(part, read, stack, batch_size, again, seed))
    return found if subset == "both" else found[0]
