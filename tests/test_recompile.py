"""What is compiled and planned, and how often: kernels once a process, a plan once a signature, the passes once a model."""
import gc
import threading
import weakref

import numpy as np
import pytest

import graphnet
from graphnet import compiler, layers
from graphnet.backends.cpu import driver
from graphnet.errors import GraphError
from graphnet.graph import Graph, Node, Spec, Tensor
from graphnet.ops.elementwise import Tanh
from graphnet.passes import PASSES, run_passes
from graphnet.tracing import placeholder


def small(size=(None, None, 3), width=5):
    x = graphnet.Input(size)
    y = layers.BatchNormalization()(layers.Conv2D(width, 3, padding="same", activation="relu")(x))
    y = layers.Activation("gelu")(layers.add([y, layers.Conv2D(width, 1)(x)]))
    return graphnet.Model(x, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(y)))


def pictures(batch=2, height=7, width=9):
    return np.random.default_rng(batch).normal(size=(batch, height, width, 3)).astype("float32")


@pytest.fixture
def plans(monkeypatch):
    """The shapes that plans are made for, as they are made."""
    made = []
    make = driver.lower_graph

    def noted(graph, shapes, *more):
        made.append(shapes)
        return make(graph, shapes, *more)
    monkeypatch.setattr(driver, "lower_graph", noted)
    return made


@pytest.fixture
def passes(monkeypatch):
    """The names of the graphs that the passes run over."""
    made = []

    def noted(graph):
        made.append(graph.name)
        return run_passes(graph)
    monkeypatch.setattr(compiler, "run_passes", noted)
    return made


def test_one_signature_makes_one_plan(plans, passes):
    model, x = small(), pictures()
    want = model(x)
    for again in (x, x.astype("float64"), x.tolist(), np.asfortranarray(x), x[::-1][::-1]):
        np.testing.assert_array_equal(model(again), want)
    model.predict(x, verbose=0)
    assert plans == [(x.shape,)] and len(passes) == 1


def test_another_batch_or_size_compiles_nothing_and_runs_no_pass(plans, passes):
    model = small()
    model(pictures())
    before = graphnet.kernel_stats()
    for shape in ((1, 7, 9), (3, 7, 9), (0, 7, 9), (2, 8, 9), (2, 30, 31)):
        assert model(pictures(*shape)).shape == (shape[0], 4)
    assert graphnet.kernel_stats() == before
    assert len(plans) == 6 and len(passes) == 1


def test_a_hundred_like_models_add_no_kernels():
    small()(pictures())
    before = graphnet.kernel_stats()
    for width in range(1, 101):
        small(width=width)(pictures())
    assert graphnet.kernel_stats() == before


def test_training_has_its_own_graph(plans, passes):
    model, x = small(), pictures()
    for _ in range(2):
        model(x), model(x, training=True), model(x, training=False)
    assert len(plans) == 2 and len(passes) == 2


def test_changed_weights_make_no_plan(plans, passes):
    model, x = small(), pictures()
    before = model(x)
    model.set_weights([w + 0.5 for w in model.get_weights()])
    assert np.abs(model(x) - before).max() > 0
    assert len(plans) == 1 and len(passes) == 1


def test_callers_at_once_make_one_plan(plans):
    model, x = small(), pictures()
    callers = [threading.Thread(target=model, args=(x,)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert plans == [(x.shape,)]


def test_the_number_of_plans_is_bounded(plans, monkeypatch):
    monkeypatch.setattr(compiler, "PLANS", 4)
    x = graphnet.Input((3,))
    model = graphnet.Model(x, layers.Dense(2)(x))
    data = {n: np.full((n, 3), n, "float32") for n in range(1, 20)}
    want = {n: model(x) for n, x in data.items()}
    executable = model.executable()[0]
    assert len(executable._runners) == 4
    for n, x in data.items():
        np.testing.assert_array_equal(model(x), want[n])
    assert len(executable._runners) == 4


def test_the_plan_that_is_used_stays(plans, monkeypatch):
    monkeypatch.setattr(compiler, "PLANS", 3)
    model, kept = small(), pictures(1)
    model(kept)
    for batch in range(2, 12):
        model(pictures(batch, 3, 3))
        model(kept)
    assert plans.count((kept.shape,)) == 1


def test_dropped_plans_and_models_give_their_memory_back(monkeypatch):
    monkeypatch.setattr(compiler, "PLANS", 1)
    model = small()
    model(pictures(1))
    runner = model.executable()[0].runner((pictures(1).shape,))
    plan = weakref.ref(runner.plan)
    del runner
    model(pictures(2))
    gc.collect()
    assert plan() is None
    whole = weakref.ref(model)
    del model
    gc.collect()
    assert whole() is None


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_no_byte(threads, plans):
    model, x = small(), pictures(8, 20, 21)
    want = model(x)
    before = graphnet.kernel_stats()
    with graphnet.settings(threads=threads):
        np.testing.assert_array_equal(model(x), want)
        np.testing.assert_array_equal(model.predict(x, verbose=0), want)
    np.testing.assert_array_equal(model(x), want)
    assert graphnet.kernel_stats() == before and len(plans) == 1


def test_a_first_call_under_other_settings_serves_later_ones():
    model, x = small(), pictures()
    with graphnet.settings(threads=1):
        want = model(x)
    np.testing.assert_array_equal(model(x), want)


@pytest.mark.parametrize("names", [{"fuse"}, {"cse"}, {"fold"}, {"simplify"}, {"fold_normalization"},
                                   {"fuse", "cse", "fold", "simplify", "fold_normalization"}])
def test_without_a_pass_the_results_are_the_same(names):
    model, x = small(), pictures()
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    want = model(x)
    twin = graphnet.models.clone_model(model)
    twin.set_weights(model.get_weights())
    with graphnet.settings(disable=frozenset(names)):
        np.testing.assert_allclose(twin(x), want, rtol=0, atol=1e-6)


def test_the_graph_is_verified_after_each_pass_on_demand(monkeypatch):
    verified = []
    monkeypatch.setattr(Graph, "verify", lambda self: verified.append(self) or self)
    small()(pictures())
    assert not verified
    with graphnet.settings(verify=1):
        small()(pictures())
    assert len(verified) == len(PASSES)


def test_verify_tells_what_is_wrong():
    x = placeholder(Spec((3, 4)))
    wrong = Node(Tanh(), (x,), (Spec((3, 5)),), "wrong")
    with pytest.raises(GraphError, match=r"wrong \(tanh\(\)\) says .*3, 5.*infers .*3, 4"):
        Graph([x], [Tensor(wrong)]).verify()


def test_settings_come_from_the_environment(monkeypatch):
    fresh = type(graphnet.settings)()
    assert fresh.disable == frozenset() and fresh.verify == 0
    monkeypatch.setenv("GRAPHNET_DISABLE", "fuse, cse")
    monkeypatch.setenv("GRAPHNET_VERIFY", "1")
    monkeypatch.setenv("GRAPHNET_THREADS", "3")
    fresh.reload()
    assert (fresh.disable, fresh.verify, fresh.threads) == ({"fuse", "cse"}, 1, 3)
    monkeypatch.setenv("GRAPHNET_VERIFY", "yes")
    with pytest.raises(ValueError, match="GRAPHNET_VERIFY expects int, received 'yes'"):
        fresh.reload()
    with pytest.raises(ValueError, match="no setting 'thread'"), graphnet.settings(thread=1):
        pass
