"""Newswires, by topic."""
from typing import Any

import numpy as np

from graphnet.datasets import words
from graphnet.datasets.sources import BUCKET, Split, locate, read_npz

_SHA256 = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_INDEX_MD5 = "4d44cc38712099c9e383dc6e5f11a921"
_TOPICS = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass crude
nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi iron-steel rubber
heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead
"""


def load_data(
    path: Any = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Split:
    """11,228 newswires on 46 topics: ``(x_train, y_train), (x_test, y_test)``.

    x are arrays of lists of word numbers, in the order of how frequent words are; y are the topics' numbers
    (`get_label_names`). ``test_split`` of the texts are for tests; the other arguments are those of `imdb.load_data`. Raises
    ValueError, FileNotFoundError, FileFormatError. Source: https://keras.io/api/datasets/reuters/

    Example:

        >>> (x_train, y_train), (x_test, y_test) = graphnet.datasets.reuters.load_data(num_words=10_000)  # doctest: +SKIP
    """
    x, y = read_npz(locate(path, f"{BUCKET}reuters.npz", _SHA256), "x", "y")
    x, labels = words.shuffle(x, y, np.random.RandomState(seed))
    texts = words.marked(x, start_char, index_from)
    if maxlen:
        texts, labels = words.shorter(texts, labels, maxlen)
    texts = words.common(texts, num_words, skip_top, oov_char)
    labels, at = np.array(labels), int(len(texts) * (1 - test_split))
    return (words.ragged(texts[:at]), labels[:at]), (words.ragged(texts[at:]), labels[at:])


def get_word_index(path: Any = "reuters_word_index.json") -> dict[str, int]:
    """The numbers of words, by word; in `load_data` they are higher by ``index_from``.

    ``path`` is a file, or a name in the caches, else it is downloaded. Source: https://keras.io/api/datasets/reuters/

    Example:

        >>> {number + 3: word for word, number in graphnet.datasets.reuters.get_word_index().items()}  # doctest: +SKIP
    """
    return words.word_index(path, "reuters_word_index.json", _INDEX_MD5)


def get_label_names() -> tuple[str, ...]:
    """The names of the topics, by number.

    Source: https://keras.io/api/datasets/reuters/

    Example:

        >>> import graphnet.datasets
        >>> graphnet.datasets.reuters.get_label_names()[3]
        'earn'
    """
    return tuple(_TOPICS.split())


__all__ = ["get_label_names", "get_word_index", "load_data"]
