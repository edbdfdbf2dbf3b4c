"""Spam among 5,574 text messages: class weights, early stopping, a checkpoint and a callback of one's own.

python examples/sms_spam.py [--data DIR] [--out DIR] [--quick]
"""
import time
from typing import Any

import numpy as np
from support import parse, text
from support.words import UNKNOWN, Vocabulary

import graphnet
from graphnet import layers

WORDS, LENGTH, TEST = 10_000, 60, 1000


class SpamWords(graphnet.callbacks.Callback):
    """Prints, each few epochs, the words that speak most for spam: those whose own score is highest."""

    def __init__(self, vocabulary: Vocabulary, every: int) -> None:
        super().__init__()
        self.vocabulary, self.every = vocabulary, every

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            words = self.vocabulary.words[UNKNOWN + 1:]
            scores = self.model.predict(self.vocabulary(words, LENGTH), batch_size=1024, verbose=0)[:, 0]
            print(f"  epoch {epoch + 1}, words of spam:", *[words[i] for i in scores.argsort()[:-11:-1]])


def network(words: int) -> graphnet.Model:
    """The mean of the words' vectors, and one number from it."""
    message = graphnet.Input(shape=(LENGTH,), dtype="int32", name="message")
    x = layers.Embedding(words, 16, mask_zero=True)(message)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling1D()(x))
    return graphnet.Model(message, layers.Dense(1, activation="sigmoid", name="spam")(x), name="sms_spam")


def main() -> None:
    arguments = parse(__doc__)
    lines = text(arguments.data, "sms_spam.tsv").read_text("utf-8").splitlines()
    graphnet.utils.set_random_seed(1)
    pairs = [lines[i].split("\t", 1) for i in np.random.permutation(len(lines))]
    y = np.array([[label == "spam"] for label, _ in pairs], "float32")
    vocabulary = Vocabulary([message for _, message in pairs[TEST:]], WORDS)  # of the training messages alone
    x = vocabulary([message for _, message in pairs], LENGTH)

    model = network(len(vocabulary))
    model.compile(graphnet.optimizers.Adam(0.005), "binary_crossentropy", metrics=["accuracy", graphnet.metrics.Precision(), graphnet.metrics.Recall()])
    spam = y[TEST:].mean()
    best = arguments.out / "sms_spam.keras"
    start = time.perf_counter()
    history = model.fit(
        x[TEST:], y[TEST:], epochs=1 if arguments.quick else 40, validation_split=0.1, verbose=0,
        class_weight={0: 0.5 / (1 - spam), 1: 0.5 / spam},  # both kinds weigh the same in all
        callbacks=[
            graphnet.callbacks.EarlyStopping(monitor="val_loss", patience=3),
            graphnet.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True),
            SpamWords(vocabulary, every=5),
        ])
    print(f"stopped after {len(history.epoch)} epochs and {time.perf_counter() - start:.1f} s")
    found = graphnet.models.load_model(best).evaluate(x[:TEST], y[:TEST], verbose=0, return_dict=True)
    print(f"test accuracy {found['accuracy']:.3f} (always 'no spam': {1 - y[:TEST].mean():.3f}), "
          f"precision {found['precision']:.3f}, recall {found['recall']:.3f}")


if __name__ == "__main__":
    main()
