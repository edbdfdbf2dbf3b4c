"""Texts as lists of word numbers: marking, cutting and thinning them out."""
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.datasets.sources import BUCKET, locate
from graphnet.errors import FileFormatError


def shuffle(texts: np.ndarray, labels: np.ndarray, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Texts and labels in an order drawn anew."""
    order = np.arange(len(texts))
    random.shuffle(order)
    return texts[order], labels[order]


def marked(texts: Any, start_char: int | None, index_from: int) -> list[list[int]]:
    """The texts with their words' numbers moved up by index_from, each behind the mark of a beginning."""
    head = [] if start_char is None else [start_char]
    return [head + [word + index_from for word in text] for text in texts]


def shorter(texts: list[list[int]], labels: Any, maxlen: int) -> tuple[list[list[int]], Any]:
    """The texts of fewer than maxlen words, and their labels."""
    kept = [i for i, text in enumerate(texts) if len(text) < maxlen]
    return [texts[i] for i in kept], [labels[i] for i in kept]


def common(texts: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> list[list[int]]:
    """The texts with the numbers from skip_top up to, without, num_words; others become oov_char, or go where that is None."""
    # Without num_words the largest number is taken, and so is itself replaced: as in Keras.
    limit = num_words or max((max(text) for text in texts if text), default=0)
    if oov_char is None:
        return [[word for word in text if skip_top <= word < limit] for text in texts]
    return [[word if skip_top <= word < limit else oov_char for word in text] for text in texts]


def ragged(texts: Sequence[list[int]]) -> np.ndarray:
    """The lists as an array of objects, also where all have one length."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def word_index(path: Any, name: str, md5: str) -> dict[str, int]:
    """The numbers of words, by word."""
    place = locate(path, BUCKET + name, md5)
    try:
        found = json.loads(place.read_text("utf-8"))
        return {str(word): int(number) for word, number in found.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise FileFormatError(f"{str(place)!r} is no index of words: {error}.") from None
