"""graphnet.function: variables, lifetimes, what a graph shows, retracing and threads."""

import ast
import copy
import gc
import threading
import warnings
import weakref

import networkx as nx
import numpy as np
import pytest
from counted import Counted

import graphnet
from graphnet import layers, ops
from graphnet.backends.cpu import weights
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.errors import GraphError, RetracingWarning, ShapeError
from graphnet.graph import Constant, Variable

TensorSpec = graphnet.TensorSpec
ONES = np.ones(3, "float32")


# ---- variables


def test_variables_are_assigned_by_runs_and_in_order():
    v = Variable(1.0, name="v")

    @graphnet.function
    def step(x):
        before = v + 0.0
        v.assign_add(x)
        v.assign(v * 2)
        return before, v

    assert [float(a) for a in step(np.float32(1))] == [1, 4] and float(v) == 4
    assert [float(a) for a in step(np.float32(1))] == [4, 10] and float(v) == 10
    (concrete,) = step.concrete_functions
    assert list(concrete.primitive.updates) == [v] == list(concrete.variables)


def test_updates_happen_whole_or_not_at_all():
    count, table = Variable(0, name="count"), Variable(np.arange(3.0), dtype="float32")

    @graphnet.function
    def look(i):
        count.assign_add(1)
        table.assign(table + 1)
        return layers.Embedding.call(embedding, i)

    embedding = layers.Embedding(3, 2)
    embedding.build((None,))
    look(np.array([0, 2], "int32"))
    with pytest.raises(IndexError):
        look(np.array([0, 7], "int32"))
    assert int(count) == 1 and table.numpy().tolist() == [1, 2, 3]


def test_variables_are_made_at_the_first_call_alone():
    class Lazy(graphnet.Module):
        w = late = None

        @graphnet.function
        def __call__(self, x, more=False):
            if self.w is None:
                self.w = Variable(graphnet.random.normal((3,)), name="w")
            if more and self.late is None:
                self.late = Variable(1.0, name="late")
            return x * self.w

    a, b = Lazy(), Lazy()
    np.testing.assert_array_equal(a(ONES), a.w.numpy())
    np.testing.assert_array_equal(b(ONES), b.w.numpy())
    assert (a.w.numpy() != b.w.numpy()).any() and not a.__call__.concrete_functions[0].primitive.updates
    with pytest.raises(
        GraphError, match=r"'__call__' makes the variable 'late' at a trace that is not its "
        r"first(?s:.*)test_function_graphs.py:\d+"
    ):
        a(ONES, more=True)
    with pytest.raises(GraphError, match="makes the variable 'anew'"):
        graphnet.function(lambda x: x * Variable(1.0, name="anew"))(ONES)
    failing = [True]

    @graphnet.function
    def fails_first(x):
        if failing:
            Variable(1.0)
            raise KeyError(failing.pop())
        return x

    with pytest.raises(KeyError):
        fails_first(ONES)
    assert fails_first(ONES)[0] == 1


def test_a_training_step_of_ones_own_does_what_fit_does():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = x.sum(1, keepdims=True)

    def make():
        graphnet.utils.set_random_seed(3)
        return graphnet.Sequential([layers.Dense(8, activation="tanh"), layers.BatchNormalization(), layers.Dense(1)])

    ours, theirs = make(), make()
    optimizer, loss, mean = graphnet.optimizers.Adam(0.01), graphnet.losses.MeanSquaredError(), graphnet.metrics.Mean()

    @graphnet.function
    def step(x, y):
        if not ours.built:
            ours(x)
        value, gradients = graphnet.value_and_grad(lambda model: loss(y, model(x, training=True)))(ours)
        optimizer.apply(gradients, ours.trainable_variables)
        mean.update_state(value)
        return value

    theirs(x)
    theirs.compile(graphnet.optimizers.Adam(0.01), "mse")
    values = [float(step(x, y)) for _ in range(6)]
    for _ in range(6):
        theirs.train_on_batch(x, y)
    assert len(step.concrete_functions) == 1 and int(optimizer.iterations) == 6 and values[-1] < values[0]
    np.testing.assert_allclose(float(mean.result()), np.mean(values), rtol=1e-5)
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [3, 5000])
def test_constants_have_the_values_of_when_a_function_was_traced(n):
    table, x = np.zeros(n, "float32"), np.ones((1, n), "float32")
    add = graphnet.function(lambda x: x + table, input_signature=[((None, n), "float32")])
    assert (add(x) == 1).all()
    table[:] = 5
    assert (graphnet.function(lambda x: x * table)(x) == 5).all()
    assert (add(x) == 1).all() and (add(np.ones((2, n), "float32")) == 1).all()  # by a later plan, too


def test_a_constant_changed_while_a_function_is_traced_is_two():
    table = np.ones(5000, "float32")

    def changing(x):
        y = x * table
        table[:] = 3
        return y + table

    assert (graphnet.function(changing)(np.ones(5000, "float32")) == 4).all()


def test_a_large_constant_is_kept_once_for_all_graphs():
    table = np.arange(5000, dtype="float32")
    shown, constant = table.view(), table.copy()
    shown.flags.writeable = constant.flags.writeable = False

    def kept(values):
        functions = [graphnet.function(lambda x: ops.sin(x + values) * values), graphnet.function(lambda x: x - values)]
        graphs = [f.get_concrete_function(table).primitive for f in functions]
        found = [node.op.value for graph in graphs for node in graph.nodes if isinstance(node.op, Constant)]
        assert len(found) == 3 and all(value is found[0] for value in found)
        return found[0]

    assert not np.may_share_memory(kept(table), table) and not np.may_share_memory(kept(shown), table)
    assert kept(constant) is constant and weights.derived([constant], ("constant",), np.asarray).value is constant


def test_gradients_inside_and_outside():
    cube = graphnet.function(lambda x: ops.sum(x**3))
    x = np.array([1.0, 2.0], "float32")
    np.testing.assert_allclose(graphnet.grad(cube)(x), 3 * x**2, rtol=1e-6)
    np.testing.assert_allclose(graphnet.function(graphnet.grad(cube))(x), 3 * x**2, rtol=1e-6)
    second = graphnet.function(lambda x: graphnet.grad(lambda x: ops.sum(graphnet.grad(cube)(x)))(x))
    np.testing.assert_allclose(second(x), 6 * x, rtol=1e-6)


# ---- methods, copies, lifetimes


def test_each_object_has_graphs_of_its_own_which_go_with_it():
    class Scale:
        def __init__(self, by):
            self.by = Variable(by)

        @graphnet.function
        def run(self, x):
            return x * self.by

        @staticmethod
        @graphnet.function
        def static(x):
            return x + 1

    a, b = Scale(2.0), Scale(3.0)
    assert a.run(ONES)[0] == 2 and b.run(ONES)[0] == 3 and Scale.static(ONES)[0] == a.static(ONES)[0] == 2
    assert len(a.run.concrete_functions) == 1 and a.run.concrete_functions[0].variables == (a.by,)
    assert Scale.run(a, ONES)[0] == 2  # unbound, the object is an argument like others
    method = Scale(5.0).run  # keeps its object alive
    assert method(ONES)[0] == 5
    ref, variable = weakref.ref(a), weakref.ref(a.by)
    other = copy.deepcopy(b)
    other.by.assign(7.0)
    assert other.run(ONES)[0] == 7 and b.run(ONES)[0] == 3
    Scale.run._own = None  # the call that was given `a` as an argument
    del a
    gc.collect()
    gc.collect()  # the object went with the function's own graphs, and its graphs with it
    assert ref() is None and variable() is None

    class Slotted:
        __slots__ = ()
        run = graphnet.function(lambda self, x: x)

    with pytest.raises(TypeError, match="__weakref__"):
        Slotted().run(ONES)


def test_graphs_traced_for_a_module_go_with_it():
    class Part(graphnet.Module):
        def __init__(self):
            self.v = Variable(1.0)

    apply, part = graphnet.function(lambda part, x: part.v * x), Part()
    apply(part, ONES)
    ref = weakref.ref(part.v)
    del part
    gc.collect()
    assert ref() is None and not apply.concrete_functions


def test_a_function_of_a_copied_module_is_traced_anew():
    class Holder(graphnet.Module):
        def __init__(self):
            super().__init__()
            self.v = Variable(1.0)
            self.run = graphnet.function(self.plain)

        def plain(self, x):
            return x * self.v

    holder = Holder()
    holder.run(ONES)
    other = copy.deepcopy(holder)
    other.v.assign(4.0)
    assert other.run(ONES)[0] == 4 and holder.run(ONES)[0] == 1


def test_what_is_no_function_is_refused():
    for bad in (3, "f", None and 0, classmethod(len)):
        with pytest.raises(TypeError, match="expects a function"):
            graphnet.functions.Function(bad)


# ---- what a graph shows


def test_concrete_functions_show_what_they_are():
    dense = layers.Dense(2, activation="relu", name="dense_shown")
    v = Variable(0.0, name="count")

    @graphnet.function
    def f(batch, n=2):
        v.assign_add(1.0)
        return {"y": dense(batch["x"]) * n, "none": None, "v": v}

    f({"x": np.ones((1, 3), "float32")})
    concrete = f.get_concrete_function({"x": TensorSpec((None, 3), name="rows")})
    assert str(concrete) == "f(batch: {'x': float32[None, 3]}, n: 2) -> {'y': float32[None, 2], 'none': None, 'v': float32[]}"
    assert (
        f.pretty_printed_concrete_signatures().splitlines()[1] == str(concrete)
        and repr(concrete) == f"<ConcreteFunction {concrete}>"
    )
    assert concrete.structured_input_signature == (({"x": TensorSpec((None, 3), name="rows")}, 2), {})
    assert concrete.structured_outputs == {"y": TensorSpec((None, 2)), "none": None, "v": TensorSpec(())}
    assert {x.name for x in concrete.variables} == {"kernel", "bias", "count"} and len(concrete.trainable_variables) == 3
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    outputs, updates = evaluate(concrete.primitive, [x])  # the primitive graph, by the reference interpreter
    at = float(v)
    np.testing.assert_allclose(concrete({"x": x})["y"], outputs[1], rtol=1e-5)  # outputs in the order of `tree.flatten`
    assert float(v) == at + 1 == float(updates[v])
    for bad, error, text in (
        (({"x": x}, 3), TypeError, "n expects 2, for which it was traced; received 3"),
        (({"x": x[:, :2]},), ShapeError, r"\(4, 2\)"),
        ((x,), TypeError, "keys"),
        ((), TypeError, "missing a required argument"),
    ):
        with pytest.raises(error, match=text):
            concrete(*bad)


def test_the_graph_as_networkx():
    v = Variable(2.0, name="v", path="a/v")

    @graphnet.function
    def f(x):
        with graphnet.name_scope("inner"):
            y = x * v
        v.assign(v + 1.0)
        return ops.sum(y, axis=1), y

    graph = f.get_concrete_function(TensorSpec((None, 3))).graph
    assert nx.is_directed_acyclic_graph(graph) and nx.is_frozen(graph)
    kinds = {name: data["kind"] for name, data in graph.nodes(data=True)}
    assert kinds["x"] == "input" and kinds["a_v"] == "variable" and graph.nodes["a_v"]["path"] == "a/v"
    (product,) = [name for name, data in graph.nodes(data=True) if data["op"] == "multiply"]
    assert (
        graph.nodes[product]["scope"] == "inner"
        and graph.nodes[product]["shapes"] == ((None, 3),)
        and list(graph.predecessors(product)) == ["x", "a_v"]
    )
    assert (
        graph.graph["inputs"] == (("x", 0),)
        and graph.graph["outputs"][1] == (product, 0)
        and graph.graph["updates"][0][0] == "a/v"
    )
    assert graph.edges["x", product, 0]["output"] == 0


def test_the_source_is_a_python_function():
    model = graphnet.Sequential(
        [
            graphnet.Input((8, 8, 1)),
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    concrete = graphnet.function(lambda x, y: (model(x), ops.split(y, 2), float("inf")), name="in").get_concrete_function(
        TensorSpec((None, 8, 8, 1)), TensorSpec((4,))
    )
    tree = ast.parse(concrete.source)
    (function,) = tree.body
    assert (
        function.name == "_in"
        and [a.arg for a in function.args.args] == ["x", "y"]
        and isinstance(function.body[-1], ast.Return)
    )
    known = {"x", "y"}
    for line in function.body[:-1]:  # each name is set once, and before it is read
        used = {n.id for n in ast.walk(line.value) if isinstance(n, ast.Name)} - {
            c.func.id for c in ast.walk(line.value) if isinstance(c, ast.Call)
        }
        assert used <= known | {"float"} and line.targets[0].id not in known
        known.add(line.targets[0].id)


# ---- retracing, threads


def test_frequent_retracing_is_reported_once_with_what_differed():
    function = graphnet.function(lambda x, n: x * n, name="often")
    with pytest.warns(RetracingWarning, match=r"'often' was traced 5 times.*n: int 3, then int 4.*np.asarray") as caught:
        for n in range(12):
            function(ONES, n)
    assert len(caught) == 1 and caught[0].filename == __file__
    with pytest.warns(RetracingWarning, match=r"x: shape \(4,\), then \(5,\).*TensorSpec"):
        other = graphnet.function(lambda x: x + 1)
        for n in range(1, 6):
            other(np.ones(n, "float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seldom = graphnet.function(lambda x: x + 1)
        for n in range(1, 8):
            for _ in range(9):
                seldom(np.ones(n, "float32"))


def test_threads_share_one_trace_and_lose_no_update():
    count = Variable(0.0)
    function = Counted(lambda x: (count.assign_add(ops.sum(x)), x * 2.0)[1])
    barrier, wrong = threading.Barrier(8), []

    def work(i):
        x = np.full(3, i, "float32")
        barrier.wait()
        for _ in range(50):
            if function(x).tolist() != [2 * i] * 3:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(function.traces) == 1 and float(count) == 50 * 3 * sum(range(8))


def test_a_listener_is_told_of_what_runs():
    from graphnet.functions.function import listeners

    seen = []
    listeners.append(seen.append)
    try:
        function = graphnet.function(lambda x: x + 1)
        function(ONES), function(ONES)
    finally:
        listeners.remove(seen.append)
    assert seen == function.concrete_functions * 2
