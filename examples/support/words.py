"""Texts as numbers of words."""
import collections
import re
from collections.abc import Iterable, Sequence

import numpy as np

from graphnet.utils import pad_sequences

PADDING, UNKNOWN = 0, 1


def split(text: str) -> list[str]:
    """The words of a text in small letters; each digit is a word, each sign too."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?|\d|[^\w\s]", text.lower())


class Vocabulary:
    """The most frequent words of some texts, numbered from 2: 0 is padding, 1 any other word."""

    def __init__(self, texts: Iterable[str], size: int) -> None:
        counts = collections.Counter(word for text in texts for word in split(text))
        self.words = ["", "?", *[word for word, _ in counts.most_common(size - 2)]]
        self.numbers = {word: number for number, word in enumerate(self.words) if number > UNKNOWN}

    def __len__(self) -> int:
        return len(self.words)

    def __call__(self, texts: Sequence[str], length: int) -> np.ndarray:
        """The texts as rows of `length` numbers, shorter ones filled up with 0."""
        rows = [[self.numbers.get(word, UNKNOWN) for word in split(text)] for text in texts]
        return pad_sequences(rows, maxlen=length, padding="post", truncating="post")
