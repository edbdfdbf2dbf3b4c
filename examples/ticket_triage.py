"""Customers' questions to a bank, sorted: two texts and tags in, a department and a priority out, on the 13,083 texts of Banking77.

python examples/ticket_triage.py [--data DIR] [--out DIR] [--quick]

Banking77 says of each question which of 77 things it is about. A table below sends each of the 77 to one of six departments, and says
which ones cannot wait: a card or money in a stranger's hands, or one that a machine has swallowed. Questions have no subject line, so
the title is what an inbox shows of them, their first six words.
"""
import csv
import pathlib
import re
import time

import numpy as np
from support import parse, text
from support.words import Vocabulary

import graphnet
from graphnet import layers

DEPARTMENTS = {  # the first department one of whose words stands in the category's name; its order is the labels'
    "top-ups": "top_up topping",
    "security": "lost stolen compromised not_recognised pin passcode",
    "account": "verify identity details age terminate country",
    "transfers": "transfer beneficiary receiving direct_debit balance",
    "payments": "payment refund statement charged_twice exchange fiat currency currencies",
    "cards and cash": "",
}
URGENT = {
    "lost_or_stolen_card", "lost_or_stolen_phone", "compromised_card", "card_payment_not_recognised", "cash_withdrawal_not_recognised",
    "direct_debit_payment_not_recognised", "card_swallowed", "pin_blocked",
}
TAGS = {  # what a ticket system notes on its own
    "question": r"\?", "exclaims": r"!", "amount": r"[£$€]|\d", "negated": r"\b(not|no|never|n't|cannot|can't)\b", "how": r"\bhow\b",
    "why": r"\bwhy\b", "when": r"\bwhen\b|\bhow long\b", "please": r"\bplease\b", "help": r"\bhelp\b", "app": r"\bapp\b",
    "atm": r"\batm\b", "abroad": r"\babroad\b|\bcountr|\btravel|\bholiday",
}
WORDS, TITLE, BODY = 10_000, 6, 40


def department(category: str) -> int:
    """The number of the department that looks after a category."""
    words = category.lower()
    return next(i for i, known in enumerate(DEPARTMENTS.values()) if not known or any(word in words for word in known.split()))


def read(file: pathlib.Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """The questions of a file, and their labels by output."""
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [row["text"] for row in rows], {
        "priority": np.array([[float(row["category"] in URGENT)] for row in rows], "float32"),
        "department": np.array([department(row["category"]) for row in rows], "int32"),
    }


def features(texts: list[str], vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """The model's inputs by name."""
    tags = [[bool(re.search(pattern, question.lower())) for pattern in TAGS.values()] for question in texts]
    titles = [" ".join(question.split()[:TITLE]) for question in texts]
    return {"title": vocabulary(titles, TITLE), "body": vocabulary(texts, BODY), "tags": np.array(tags, "float32")}


def network(words: int) -> graphnet.Model:
    """The model of the guide "The Functional API", smaller: one embedding for both texts, a recurrent layer each."""
    title = graphnet.Input(shape=(None,), dtype="int32", name="title")
    body = graphnet.Input(shape=(None,), dtype="int32", name="body")
    tags = graphnet.Input(shape=(len(TAGS),), name="tags")
    embedding = layers.Embedding(words, 64, mask_zero=True, name="words")
    x = layers.concatenate([layers.LSTM(32)(embedding(title)), layers.LSTM(64)(embedding(body)), tags])
    x = layers.Dropout(0.3)(x)
    priority = layers.Dense(1, name="priority")(x)
    departments = layers.Dense(len(DEPARTMENTS), name="department")(x)
    return graphnet.Model([title, body, tags], {"priority": priority, "department": departments}, name="ticket_triage")


def main() -> None:
    arguments = parse(__doc__)
    texts, y = read(text(arguments.data, "banking77_train.csv"))
    test_texts, y_test = read(text(arguments.data, "banking77_test.csv"))
    graphnet.utils.set_random_seed(1)
    order = np.random.permutation(len(texts))[:1000 if arguments.quick else None]  # the file is sorted by category
    texts, y = [texts[i] for i in order], {name: labels[order] for name, labels in y.items()}
    vocabulary = Vocabulary(texts, WORDS)
    x, x_test = features(texts, vocabulary), features(test_texts, vocabulary)
    print(f"{len(texts)} questions to train on, {len(test_texts)} to test with; {len(vocabulary)} words")

    model = network(len(vocabulary))
    graphnet.utils.plot_model(model, arguments.out / "ticket_triage.png", show_shapes=True, show_layer_names=True, dpi=70)
    model.compile(
        optimizer=graphnet.optimizers.Adam(0.002),
        loss={"priority": graphnet.losses.BinaryCrossentropy(from_logits=True),
              "department": graphnet.losses.SparseCategoricalCrossentropy(from_logits=True)},
        loss_weights={"priority": 1.0, "department": 0.5},
        metrics={"priority": [graphnet.metrics.BinaryAccuracy(threshold=0.0, name="accuracy"),
                              graphnet.metrics.AUC(from_logits=True, name="auc")],
                 "department": ["accuracy"]},
    )
    stop = graphnet.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    start = time.perf_counter()
    model.fit(x, y, epochs=1 if arguments.quick else 8, validation_split=0.1, callbacks=[stop], verbose=2)
    print(f"trained in {time.perf_counter() - start:.1f} s")
    report(model, test_texts, x_test, y, y_test)


def report(model: graphnet.Model, texts: list[str], x: dict[str, np.ndarray], y: dict[str, np.ndarray], y_test: dict[str, np.ndarray]) -> None:
    """Figures on the questions that the model has not seen, beside those of who always gives the commonest answer."""
    found = model.evaluate(x, y_test, verbose=0, return_dict=True)
    always = np.bincount(y["department"]).argmax()
    print(f"department: {100 * found['department_accuracy']:.1f} % right "
          f"(always {list(DEPARTMENTS)[always]!r}: {100 * np.mean(y_test['department'] == always):.1f} %)")
    print(f"priority:   {100 * found['priority_accuracy']:.1f} % right (always 'can wait': {100 * np.mean(y_test['priority'] == 0):.1f} %), "
          f"area under the curve {found['priority_auc']:.3f} (chance: 0.5)")
    scores = model.predict(x, verbose=0)
    urgent, due = scores["priority"][:, 0] > 0, y_test["priority"][:, 0] == 1
    print(f"            finds {100 * np.mean(urgent[due]):.1f} % of the urgent ones; of those it calls urgent, {100 * np.mean(due[urgent]):.1f} % are")
    names = list(DEPARTMENTS)
    for i in sorted([*np.flatnonzero(due)[15::80], *np.flatnonzero(~due)[15::700]]):  # some of either kind
        answer, truth = (names[scores["department"][i].argmax()], urgent[i]), (names[y_test["department"][i]], due[i])
        said, really = [f"{where}{', urgent' if soon else ''}" for where, soon in (answer, truth)]
        print(f"  {texts[i][:64]!r}: {said}" + ("" if said == really else f" (wrong: {really})"))



if __name__ == "__main__":
    main()
