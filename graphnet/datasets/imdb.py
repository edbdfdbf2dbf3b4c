"""Reviews of films, by sentiment."""
from typing import Any

import numpy as np

from graphnet.datasets import words
from graphnet.datasets.sources import BUCKET, Split, locate, read_npz

_SHA256 = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_INDEX_MD5 = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: Any = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Split:
    """25,000 reviews to train on and as many to test with: ``(x_train, y_train), (x_test, y_test)``.

    x are arrays of lists of word numbers, in the order of how frequent words are; y is 1 for praise and 0 for blame.

    Arguments: ``num_words`` keeps numbers below it, ``skip_top`` those from it on, and ``oov_char`` stands for the others
    (None drops them); ``maxlen`` keeps the reviews with fewer numbers; ``seed`` of the order; ``start_char`` stands before
    each review (None: nothing); words' numbers begin above ``index_from``; ``path`` a file, or a name in the caches, else it
    is downloaded. Raises ValueError where no review is short enough, FileNotFoundError, FileFormatError. Source:
    https://keras.io/api/datasets/imdb/

    Example:

        >>> (x_train, y_train), (x_test, y_test) = graphnet.datasets.imdb.load_data(num_words=10_000)  # doctest: +SKIP
    """
    x, y, x_test, y_test = read_npz(locate(path, f"{BUCKET}imdb.npz", _SHA256), "x_train", "y_train", "x_test", "y_test")
    random = np.random.RandomState(seed)
    x, y = words.shuffle(x, y, random)
    x_test, y_test = words.shuffle(x_test, y_test, random)
    train, test = (words.marked(texts, start_char, index_from) for texts in (x, x_test))
    if maxlen:
        train, y = words.shorter(train, y, maxlen)
        test, y_test = words.shorter(test, y_test, maxlen)
        if not train or not test:
            raise ValueError(
                f"load_data expects some reviews to be shorter than maxlen; received maxlen={maxlen}, which keeps none."
            )
    texts = words.common(train + test, num_words, skip_top, oov_char)
    labels, at = np.concatenate([y, y_test]), len(train)
    return (words.ragged(texts[:at]), labels[:at]), (words.ragged(texts[at:]), labels[at:])


def get_word_index(path: Any = "imdb_word_index.json") -> dict[str, int]:
    """The numbers of words, by word; in `load_data` they are higher by ``index_from``.

    ``path`` is a file, or a name in the caches, else it is downloaded. Source: https://keras.io/api/datasets/imdb/

    Example:

        >>> {number + 3: word for word, number in graphnet.datasets.imdb.get_word_index().items()}  # doctest: +SKIP
    """
    return words.word_index(path, "imdb_word_index.json", _INDEX_MD5)


__all__ = ["get_word_index", "load_data"]
