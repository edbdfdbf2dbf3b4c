"""The progress line: what it shows, when it is drawn, what it costs; the same bytes as Keras's."""
import io
import logging
import sys
import time

import pytest

from graphnet.visualization import progress
from graphnet.visualization.progress import Progbar


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


class Out:
    """All that went to standard output so far."""

    def __init__(self, capsys):
        self.capsys, self.text = capsys, ""

    def getvalue(self):
        self.text += self.capsys.readouterr().out
        return self.text


@pytest.fixture
def out(capsys):
    return Out(capsys)


def last_line(out):
    text = out.getvalue().rsplit("\r", 1)[-1]
    for code in ("\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"):
        text = text.replace(code, "")
    return text


def test_bar_eta_and_metrics(clock, out):
    bar = Progbar(10, stateful_metrics=["accuracy"])
    clock.now += 5  # the first step compiles
    bar.update(1, [("loss", 1.0), ("accuracy", 0.5)])
    assert last_line(out) == " 1/10 " + "━" * 20 + " 45s 5s/step - loss: 1.0000 - accuracy: 0.5000"
    clock.now += 0.25
    bar.update(2, [("loss", 2.0), ("accuracy", 0.75)])
    assert last_line(out) == " 2/10 " + "━" * 20 + " 2s 250ms/step - loss: 1.5000 - accuracy: 0.7500"  # without the first step


def test_drawn_at_most_every_interval(clock, out):
    bar = Progbar(1000)
    for step in range(1, 1000):
        clock.now += 0.001
        bar.update(step, [("loss", 1.0)])
    assert 15 <= out.getvalue().count("\r") <= 20  # within a second
    bar.update(1000)
    assert out.getvalue().endswith("\n") and "1000/1000" in last_line(out)  # the last is always drawn


def test_average_counts_steps_that_were_not_drawn(clock, out):
    bar = Progbar(4)
    for step, loss in enumerate([1.0, 2.0, 6.0], start=1):
        bar.update(step, [("loss", loss)])
    clock.now += 1
    bar.update(3)
    assert "loss: 3.0000" in last_line(out)


def test_unknown_target_and_small_numbers(clock, out):
    bar = Progbar(None)
    clock.now += 0.0005
    bar.add(1, [("loss", 1e-5), ("nan", float("nan"))])
    assert last_line(out) == "      1/Unknown 0s 500us/step - loss: 1.0000e-05 - nan: nan"


def test_long_line_is_covered(clock, out):
    bar = Progbar(2, stateful_metrics=["note"])
    bar.update(1, [("note", 123456.0)])
    width = len(last_line(out))
    clock.now += 1
    bar.update(2, [("note", 1.0)])
    head, _, line = out.getvalue().rpartition("\r")
    assert head.endswith("\b" * width) and len(last_line(out).rstrip("\n")) == width


@pytest.mark.parametrize("seconds, text", [(59.9, "59s"), (75.0, "1:15"), (3 * 3600 + 62, "3:01:02")])
def test_clock(seconds, text):
    assert progress._clock(seconds) == text


def test_verbose_0_and_2(clock, out):
    Progbar(3, verbose=0).update(3, [("loss", 1.0)])
    assert out.getvalue() == ""
    bar = Progbar(3, verbose=2)
    for step in range(1, 4):
        clock.now += 2
        bar.update(step, [("loss", float(step))])
    assert out.getvalue() == "3/3 - 6s - 2s/step - loss: 3.0000\n"


def test_both_lists_of_names_are_an_error():
    with pytest.raises(ValueError, match="received both"):
        Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])


def test_output_that_cannot_show_the_bar(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Progbar(2).update(2)
    assert b"2/2" in raw.getvalue() and b"====" in raw.getvalue()


def test_messages_to_the_log(out, caplog):
    progress.disable_interactive_logging()
    try:
        with caplog.at_level(logging.INFO, "graphnet"):
            progress.message("hello")
    finally:
        progress.enable_interactive_logging()
    assert out.getvalue() == "" and "hello" in caplog.text


def test_costs_less_than_a_hundredth_of_a_step_of_a_millisecond(out):
    """1000 steps of 1 ms: 10 us each may be spent here, with the drawings; best of three, because others use the machine."""
    from graphnet.callbacks import CallbackList, ProgbarLogger
    logs = {"loss": 0.5, "accuracy": 0.75, "auc": 0.25}
    best = 1.0
    for _ in range(3):
        callbacks = CallbackList([ProgbarLogger()], epochs=1, steps=1000, verbose=1)
        callbacks.on_epoch_begin(0)
        spent = 0.0
        drawn = callbacks.callbacks[0].progbar
        for step in range(1000):
            if step % 50 == 0:
                drawn._drawn_at = 0.0  # 50 ms have passed
            begin = time.perf_counter()
            callbacks.on_train_batch_begin(step)
            callbacks.on_train_batch_end(step, logs if callbacks.wants_batch_logs else None)
            spent += time.perf_counter() - begin
        best = min(best, spent / 1000)
    assert best < 10e-6


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("arguments", [
    {}, {"stateless_metrics": []}, {"stateful_metrics": ["loss"]}, {"width": 5, "interval": 1.0}])
@pytest.mark.parametrize("target", [None, 7, 120])
def test_bytes_equal_keras(monkeypatch, capsys, clock, verbose, arguments, target):
    pytest.importorskip("keras", reason="compares with the real Keras, which is not installed")
    import keras.src.utils.progbar as theirs
    monkeypatch.setattr(theirs, "time", clock)
    texts = []
    for kind in (Progbar, theirs.Progbar):
        clock.now = 1000.0
        bar = kind(target, verbose=verbose, **arguments)
        for step in range(1, 7):
            clock.now += (0.0003, 3.5, 0.02, 0.04, 41.0, 700.0)[step - 1]
            bar.update(step, [("accuracy", 1.0 - 1 / step), ("loss", 10.0 ** -step)])
        bar.update(target or 6, [("accuracy", 0.5), ("loss", 0.25), ("val_loss", 0.125)], finalize=True)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
@pytest.mark.parametrize("epochs, steps", [(1, 4), (2, 4), (2, None)])
def test_bytes_of_fit_evaluate_predict_equal_keras(monkeypatch, capsys, clock, verbose, epochs, steps):
    keras = pytest.importorskip("keras", reason="compares with the real Keras, which is not installed")
    import keras.src.utils.progbar as theirs

    from graphnet import callbacks as ours
    monkeypatch.setattr(theirs, "time", clock)
    texts = []
    for module in (ours, keras.callbacks):
        clock.now = 1000.0
        callbacks = module.CallbackList([module.ProgbarLogger()], verbose=verbose, epochs=epochs, steps=steps)
        callbacks.on_train_begin()
        for epoch in range(epochs):
            callbacks.on_epoch_begin(epoch)
            for step in range(4):
                clock.now += (0.5, 0.02, 0.02, 0.3)[step]
                callbacks.on_train_batch_end(step, {"loss": 1 / (step + 1 + epoch), "accuracy": step / 4})
            callbacks.on_test_begin()
            callbacks.on_test_batch_end(0, {"loss": 9.0})
            callbacks.on_test_end({"loss": 9.0})
            callbacks.on_epoch_end(epoch, {"loss": 0.25, "accuracy": 1.0, "val_loss": 9.0})
        callbacks.on_train_end()
        alone = module.CallbackList([module.ProgbarLogger()], verbose=verbose, epochs=1, steps=2)
        for what, logs in (("test", {"loss": 0.125}), ("predict", {"outputs": 3.0})):
            getattr(alone, f"on_{what}_begin")()
            for step in range(2):
                clock.now += 0.2
                getattr(alone, f"on_{what}_batch_end")(step, logs)
            getattr(alone, f"on_{what}_end")(logs if what == "test" else None)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
