"""What gives batches by itself: generators, loaders and datasets, what predict makes of them, and threads that end."""
import threading
import time

import numpy as np
import pytest
from data_cases import DataLoader, Numbers, rows, taken, workers

import graphnet
from graphnet.errors import DataError
from graphnet.training.data import adapt

pytestmark = pytest.mark.usefixtures("no_thread_is_left_over")


# ---- what gives batches


def test_generators():
    batches = adapt((rows(2), np.array([0.5, 1.5])) for _ in range(3))
    found = taken(batches)
    assert len(found) == 3 == batches.num_batches and found[0][1].dtype == np.float32 and found[0][2] is None
    with pytest.warns(UserWarning, match="ran out of data"):
        assert taken(batches) == [] and batches.ran_out


def test_a_generator_gives_no_more_batches_than_are_trained_on():
    made = []

    def endless():
        while True:
            made.append(len(made))
            yield (np.array([made[-1]]),)

    source = endless()
    batches = adapt(source, steps=3)
    assert [int(b[0][0]) for _ in range(2) for b in taken(batches)] == [0, 1, 2, 3, 4, 5] and made == [0, 1, 2, 3, 4, 5]
    batches.close()
    assert next(source)[0][0] == 6, "the user's generator goes on"


def test_a_generator_that_ends_early_warns():
    batches = adapt(((rows(2), rows(2)) for _ in range(3)), steps=2)
    assert len(taken(batches)) == 2
    with pytest.warns(UserWarning, match="received 1 of 2"):
        assert len(taken(batches)) == 1
    for empty in (adapt(iter([])), adapt(iter([]), steps=3), adapt(Numbers(0))):
        with pytest.raises(DataError, match="no batches"):
            taken(empty)


def test_iterables_begin_anew_each_epoch():
    batches = adapt(DataLoader())
    assert batches.num_batches == 2
    for _ in range(2):
        found = taken(batches)
        assert [b[0][0, 0] for b in found] == [0, 1] and found[0][1].tolist() == [0, 1, 2, 3]


def test_pytorch_data_loader():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    data = torch.utils.data.TensorDataset(torch.arange(10.0)[:, None], torch.arange(10))
    batches = adapt(torch.utils.data.DataLoader(data, batch_size=4))
    found = taken(batches)
    assert (
        batches.num_batches == 3
        and np.concatenate([b[1] for b in found]).tolist() == list(range(10))
        and found[0][0].dtype == np.float32
    )


@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"workers": 2, "max_queue_size": 1}])
def test_datasets_by_number(options):
    data = Numbers(9, **options)
    batches = adapt(data)
    for _ in range(2):
        assert [int(b[1][0]) for b in taken(batches)] == list(range(9)) and batches.num_batches == 9
    batches.close()
    assert data.calls == ["begin", "end"] * 2
    graphnet.utils.set_random_seed(1)
    mixed = adapt(data, shuffle=True)
    assert sorted(int(b[1][0]) for b in taken(mixed)) == list(range(9))
    mixed.close()


def test_processes_make_batches():
    batches = adapt(Numbers(3, workers=1, use_multiprocessing=True))
    try:
        assert [int(b[1][0]) for b in taken(batches)] == [0, 1, 2]
    finally:
        batches.close()


class Endless(Numbers):
    num_batches = None


def test_a_pass_goes_on_in_processes_over_the_ends_of_epochs():
    batches = adapt(Endless(workers=1, use_multiprocessing=True, max_queue_size=2), steps=2)
    assert [int(b[1][0]) for _ in range(3) for b in taken(batches)] == list(range(6))
    batches.close()


def test_a_generator_that_does_not_return_is_left_alone(monkeypatch):
    monkeypatch.setattr("graphnet.training.data.prefetch._PATIENCE", 0.05)
    held = threading.Event()

    def stuck():
        yield (rows(2),)
        held.wait()

    batches = adapt(stuck())
    running = batches.epoch()
    next(running)
    batches.close()
    held.set()
    for thread in workers():
        thread.join(1)


def test_endless_datasets_need_steps():
    batches = adapt(Endless(workers=2), steps=3)
    assert [int(b[1][0]) for _ in range(2) for b in taken(batches)] == list(range(6))
    batches.close()
    with pytest.raises(DataError, match="steps_per_epoch"):
        adapt(Endless())


def test_a_dataset_without_super_init_warns():
    class Forgetful(Numbers):
        def __init__(self):
            self.count, self.fails_at, self.calls = 2, None, []

    with pytest.warns(UserWarning, match="Forgetful should call super"):
        assert len(taken(adapt(Forgetful()))) == 2


@pytest.mark.parametrize("options", [{}, {"workers": 3}])
def test_errors_inside_a_dataset_come_out_and_leave_no_thread(options):
    batches = adapt(Numbers(20, fails_at=5, **options))
    seen = []
    with pytest.raises(RuntimeError, match="batch 5 is broken"):
        for batch in batches.epoch():
            seen.append(int(batch[1][0]))
    batches.close()
    assert seen == [0, 1, 2, 3, 4] and not workers()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_epoch_ends_its_threads(error):
    big = rows(64, 50_000)
    for data in (Numbers(50), Numbers(50, workers=2), ((rows(2),) for _ in range(50))):
        batches = adapt(data)
        with pytest.raises(error):
            for i, _ in enumerate(batches.epoch()):
                if i == 2:
                    raise error
        batches.close()
        assert not workers()
    batches = adapt(big, batch_size=8, shuffle=True)
    assert batches.ahead, "half a megabyte is gathered in a thread"
    running = batches.epoch()
    next(running)
    assert workers()
    batches.close()
    assert not workers() and list(running) == []


def test_batches_are_made_while_the_step_runs():
    class Slow(Numbers):
        def __getitem__(self, index):
            time.sleep(0.02)
            return super().__getitem__(index)

    start = time.perf_counter()
    for _ in adapt(Slow(10)).epoch():
        time.sleep(0.02)
    assert time.perf_counter() - start < 0.36, "one after the other they would take 0.4 s"


# ---- predict


def model_of_sums():
    x = graphnet.Input((3,))
    return graphnet.Model(x, graphnet.ops.sum(x, axis=1))


def test_predict_tells_its_callbacks():
    told = []

    class Watch(graphnet.callbacks.Callback):
        def on_predict_begin(self, logs=None):
            told.append(self.params["steps"])

        def on_predict_batch_end(self, batch, logs=None):
            told.append((batch, logs["outputs"].tolist()))
            self.model.stop_predicting = batch == 1

    found = model_of_sums().predict(rows(5), batch_size=2, verbose=0, callbacks=[Watch()])
    assert found.tolist() == [3, 12, 21, 30] and told == [3, (0, [3, 12]), (1, [21, 30])]


def test_an_error_in_a_callback_of_predict_leaves_the_model_usable():
    class Broken(graphnet.callbacks.Callback):
        released = False

        def on_predict_batch_end(self, batch, logs=None):
            raise RuntimeError("broken")

        def release(self):
            self.released = True

    model, broken = model_of_sums(), Broken()
    with pytest.raises(RuntimeError, match="broken"):
        model.predict(Numbers(3), verbose=0, callbacks=broken)
    assert broken.released and model.predict(rows(2), verbose=0).tolist() == [3, 12]


def test_predict_shows_its_progress(capsys):
    model_of_sums().predict(rows(5), batch_size=2, verbose=1)
    assert "3/3" in capsys.readouterr().out
    model_of_sums().predict(rows(5), batch_size=2, verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "data", [Numbers(3), Numbers(3, workers=2), DataLoader(), ((rows(2),) for _ in range(3)), iter([rows(2), rows(2)])]
)
def test_predict_takes_what_gives_batches(data):
    assert model_of_sums().predict(data, verbose=0).shape[0] in (4, 6, 8) and not workers()


def test_predict_reads_mapped_files(tmp_path):
    np.save(tmp_path / "x.npy", rows(100))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(model_of_sums().predict(x, verbose=0), rows(100).sum(1))


def test_predict_is_an_epoch_for_a_dataset():
    data = Numbers(2)
    model_of_sums().predict(data, verbose=0)
    assert data.calls == ["begin", "end"]


@pytest.mark.parametrize("parts", [(1,), (1, 2), (1, 2, 3), ([1, 2],)])
def test_packed_batches_come_apart(parts):
    found = graphnet.utils.unpack_x_y_sample_weight(graphnet.utils.pack_x_y_sample_weight(*parts))
    assert found == (*parts, None, None)[:3]
