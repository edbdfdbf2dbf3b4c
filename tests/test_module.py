"""Modules find what they hold; variables behave as numbers, and in a trace as a part of the graph."""

import copy
import gc
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphnet
from graphnet import layers, ops
from graphnet.errors import DTypeError, GraphError, ShapeError, SymbolicTensorError
from graphnet.graph import Spec
from graphnet.module import members
from graphnet.tracing import placeholder, trace_function


class Leafy(graphnet.Module):
    def __init__(self, value=0.0, name=None):
        super().__init__(name=name)
        self.v = graphnet.Variable(value, name="v")


NESTS = st.recursive(
    st.sampled_from(["variable", "frozen", "module", "number"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(NESTS)
def test_what_nested_attributes_hold_is_found_in_order_and_once(nest):
    variables, modules = [], []

    def make(part):
        if part in ("variable", "frozen"):
            variables.append(graphnet.Variable(1.0, trainable=part == "variable"))
            return variables[-1]
        if part == "module":
            modules.append(Leafy())
            return modules[-1]
        if part == "number":
            return 3
        if isinstance(part, dict):
            return {key: make(item) for key, item in part.items()}
        return type(part)([make(item) for item in part])

    module = graphnet.Module()
    module.held = make(nest)
    module.again = module.held  # the same things under another name
    assert [id(m) for m in module.submodules] == [id(m) for m in modules]
    assert [id(v) for v in module.variables] == [id(v) for v in [*variables, *(m.v for m in modules)]]
    assert {id(v) for v in module.trainable_variables} | {id(v) for v in module.non_trainable_variables} == {
        id(v) for v in module.variables
    }
    assert all(v.trainable for v in module.trainable_variables) and not any(v.trainable for v in module.non_trainable_variables)


def test_cycles_of_modules_and_of_lists():
    a, b = Leafy(name="a"), Leafy(name="b")
    a.other, b.other = b, [a, b]
    b.other.append(b.other)  # a list that holds itself
    assert a.submodules == (b,) and b.submodules == (a,)
    assert a.variables == (a.v, b.v) and b.variables == (b.v, a.v)


def test_lists_that_hold_others_twice_are_looked_into_once():
    held = [graphnet.Variable(1.0)]
    for _ in range(10):
        held = [held, (held,), {"a": held}]
    assert len(list(members(held, graphnet.Variable))) == 1


def test_nearer_modules_come_before_what_they_hold():
    a, b, c, d = (Leafy(name=n) for n in "abcd")
    a.first, a.second, b.inner = b, d, c
    assert [m.name for m in a.submodules] == ["b", "c", "d"]


def test_names():
    class OfTwoWords(graphnet.Module):
        pass

    class WithoutInit(graphnet.Module):
        def __init__(self):
            self.v = graphnet.Variable(1.0)

    assert OfTwoWords().name == "of_two_words" and OfTwoWords("mine").name == "mine" and WithoutInit().name == "without_init"
    for bad in ("a/b", "", "1a", 3):
        with pytest.raises(ValueError, match="identifier"):
            OfTwoWords(name=bad)


def test_name_scopes():
    class Inner(graphnet.Module):
        @graphnet.Module.with_name_scope
        def __call__(self, x):
            self.w = graphnet.Variable(1.0, name="w")
            return x * self.w

    class Outer(graphnet.Module):
        def __init__(self):
            super().__init__(name="outer")
            self.inner = Inner(name="inner")
            with self.name_scope:
                self.early = graphnet.Variable(0.0, name="early")

        @graphnet.Module.with_name_scope
        def __call__(self, x):
            """Doc."""
            return self.inner(x) + 1.0

    outer = Outer()
    graph, _ = trace_function(outer, [placeholder(Spec((2,)))])
    assert outer.early.path == "outer/early" and outer.inner.w.path == "outer/inner/w" and outer.inner.w.name == "w"
    assert {n.op.name: n.scope for n in graph.nodes if n.inputs} == {"multiply": "outer/inner", "add": "outer"}
    assert Outer.__call__.__doc__ == "Doc."
    with pytest.raises(ZeroDivisionError), outer.name_scope:
        raise ZeroDivisionError
    assert graphnet.Variable(1.0, name="w").path == "w"
    with graphnet.name_scope("around"):
        dense = layers.Dense(1, name="dense_in_scope")
        dense.build((None, 2))
    assert dense.kernel.path == "around/dense_in_scope/kernel"


def test_a_module_in_a_layer_is_collected_and_frozen_with_it():
    class Holder(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner, self.dense = Leafy(), layers.Dense(2)

        def call(self, x):
            return self.dense(x) + self.inner.v

    holder = Holder()
    holder(np.ones((1, 3), "float32"))
    assert {id(v) for v in holder.variables} == {id(v) for v in (holder.inner.v, holder.dense.kernel, holder.dense.bias)}
    assert (
        isinstance(holder, graphnet.Module)
        and isinstance(holder.variables, list)
        and holder.submodules == (holder.inner, holder.dense)
    )
    holder.trainable = False
    assert not holder.inner.v.trainable and holder.trainable_variables == [] and len(holder.non_trainable_variables) == 3
    holder.trainable = True
    assert len(holder.trainable_variables) == 3


def test_variables_of_a_module_in_a_layer_are_weights_and_kept_in_files(tmp_path):
    class Around(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Leafy(2.0)
            self.seed, self.mean, self.rule = (
                graphnet.random.SeedGenerator(1),
                graphnet.metrics.Mean(),
                graphnet.optimizers.SGD(),
            )

        def call(self, x):
            return x * self.inner.v

    layer = Around()
    model = graphnet.Model(x := graphnet.Input((2,)), layer(x))
    assert model.weights == [layer.inner.v] and model.count_params() == 1
    for name in ("w.weights.h5", "w.h5"):
        layer.inner.v.assign(2.0)
        model.save_weights(tmp_path / name)
        layer.inner.v.assign(9.0)
        model.load_weights(tmp_path / name)
        assert float(layer.inner.v) == 2.0


# ---- variables


def test_initial_values():
    assert graphnet.Variable(lambda: np.ones(3)).shape == (3,)
    assert graphnet.Variable(lambda shape, dtype: np.full(shape, 2), (2,)).dtype == "float32"
    assert graphnet.Variable(graphnet.initializers.Ones(), (2,), "int32").numpy().tolist() == [1, 1]
    assert graphnet.Variable(graphnet.Variable([1.0, 2.0])).numpy().tolist() == [1.0, 2.0]
    assert (
        graphnet.Variable(3).dtype == "int32"
        and graphnet.Variable(True).dtype == "bool"
        and graphnet.Variable(np.ones(2)).dtype == "float64"
    )
    source = np.ones(2, "float32")
    v = graphnet.Variable(source)
    source[0] = 5
    assert v.numpy().tolist() == [1.0, 1.0]
    with pytest.raises(ShapeError, match="expects `shape`"):
        graphnet.Variable(graphnet.initializers.Ones())
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        graphnet.Variable([1.0, 2.0], shape=(3,))
    with pytest.raises(DTypeError, match="a_name"):
        graphnet.Variable(b"text", name="a_name")
    assert graphnet.Variable("ones", (2,)).numpy().tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="initializers.*'onse'.*ones"):
        graphnet.Variable("onse", (2,))


def test_assignment_is_checked_and_leaves_the_value_where_it_fails():
    v = graphnet.Variable([1.0, 2.0], name="v")
    array = v.value
    assert v.assign([3, 4]) is v and v.assign_add([1.0, 1.0]) is v and v.assign_sub(v) is v and v.value is array
    for value, error, text in (
        ([1.0], ShapeError, r"\(2,\).*\(1,\)"),
        (1.0, ShapeError, r"\(2,\).*\(\)"),
        ([1j, 2j], DTypeError, "complex"),
    ):
        with pytest.raises(error, match=text):
            v.assign(value)
    with pytest.raises(DTypeError, match="int32.*float32"):
        graphnet.Variable(1).assign(1.5)
    assert v.numpy().tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="read-only"):
        v.numpy()[0] = 1.0


def test_repr_shows_path_shape_dtype_and_value():
    assert (
        repr(graphnet.Variable([1.0, 2.0], name="w", path="a/w"))
        == "<Variable path=a/w, shape=(2,), dtype=float32, value=[1. 2.]>"
    )
    assert "..." in repr(graphnet.Variable(np.zeros(1000)))


BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
    divmod,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
def test_binary_operators_are_those_of_arrays(op):
    a, b = np.array([1.5, -2.0, 4.0], "float32"), np.array([2.0, 3.0, 4.0], "float32")
    v, w = graphnet.Variable(a), graphnet.Variable(b)
    for x, y, expected in (
        (v, w, op(a, b)),
        (v, b, op(a, b)),
        (a, w, op(a, b)),
        (v, 2.0, op(a, np.float32(2))),
        (2.0, w, op(np.float32(2), b)),
    ):
        np.testing.assert_allclose(op(x, y), expected, rtol=1e-6)


def test_other_operators():
    a = np.array([[1.25, -2.5], [3.0, 4.0]], "float32")
    v, flags = graphnet.Variable(a), graphnet.Variable([True, False])
    for op in (operator.neg, operator.pos, abs, round):
        np.testing.assert_array_equal(op(v), op(a) if op is not round else np.round(a))
    np.testing.assert_array_equal(v @ v, a @ a)
    np.testing.assert_array_equal(v[0, 1:], a[0, 1:])
    assert (
        (~flags).tolist() == [False, True]
        and (flags & True).tolist() == [True, False]
        and (flags | flags).tolist() == [True, False]
    )
    assert [row.tolist() for row in v] == a.tolist() and len(v) == 2
    one, n = graphnet.Variable(1.5), graphnet.Variable(2)
    assert float(one) == 1.5 and int(one) == 1 and bool(one) and complex(one) == 1.5 and [10, 20, 30][n] == 30
    with pytest.raises(ValueError, match="ambiguous"):
        bool(v)
    with pytest.raises(TypeError):
        len(one)


def test_numpys_protocols():
    a = np.array([1.0, 4.0], "float32")
    v = graphnet.Variable(a)
    assert np.asarray(v).dtype == np.float32 and np.array(v, "float64").dtype == np.float64 and np.sum(v) == 5
    assert np.shares_memory(np.asarray(v), v.value) and not np.shares_memory(np.array(v), v.value)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(v, dtype="float64", copy=False)
    np.testing.assert_array_equal(np.sqrt(v), np.sqrt(a))
    np.testing.assert_array_equal(a + v, a + a)
    np.testing.assert_array_equal(np.concatenate([v, a]), np.concatenate([a, a]))


def test_copies_and_pickles_are_variables_of_their_own():
    module = Leafy(2.0)
    module.loop = module
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(graphnet.Variable(2.0, name="v")))):
        v = other.v if isinstance(other, Leafy) else other
        v.assign(7.0)
        assert v.name == "v" and float(module.v) == 2.0
    assert copy.deepcopy(module).loop is not module


# ---- in a trace


def traced(function):
    return trace_function(function, [placeholder(Spec((2,)), "x")])[0]


def test_assignments_of_anything_are_updates_of_the_graph():
    v, w = graphnet.Variable([1.0, 1.0]), graphnet.Variable([2.0, 2.0])
    for value in (3.0 * np.ones(2, "float32"), [3, 3], w):
        graph = traced(lambda x, value=value: v.assign(value) + x)
        assert list(graph.updates) == [v] and v.numpy().tolist() == [1.0, 1.0]
    with pytest.raises(ShapeError):
        traced(lambda x: v.assign(ops.zeros(3)) + x)
    with pytest.raises(DTypeError, match="Cast it first"):
        traced(lambda x: graphnet.Variable([1, 2]).assign(x) + x)


@pytest.mark.parametrize(
    "read",
    [
        bool,
        int,
        float,
        complex,
        np.asarray,
        np.sum,
        lambda v: v.numpy(),
        lambda v: [1, 2][v],
        lambda v: 1 if v else 2,
        lambda v: range(v),
    ],
)
def test_values_are_not_read_while_a_graph_is_traced(read):
    v = graphnet.Variable(1, name="a_counter")
    with pytest.raises(SymbolicTensorError, match=r"a_counter(?s:.*)test_module.py:\d+"):
        traced(lambda x: x * read(v))


@pytest.mark.parametrize(
    "read, op",
    [
        (bool, "ops.cond"),
        (float, "ops.where"),
        (int, "ops.fori_loop"),
        (np.asarray, "graphnet.ops"),
        (lambda t: t.item(), "ops.where"),
        (lambda t: range(t), "ops.scan"),
        (lambda t: 1 if t > 0 else 2, "ops.where"),
        (lambda t: t.numpy(), "ops.where"),
        (lambda t: np.exp(t), "ops.exp"),
    ],
)
def test_items_of_symbolic_tensors_are_not_read(read, op):
    with pytest.raises((SymbolicTensorError, AttributeError), match=rf"{op}(?s:.*)test_module.py:\d+"):
        traced(lambda x: x * read(x[0]))


def test_variables_are_made_in_a_trace_of_values_that_are_known():
    made = []

    def body(x):
        made.extend(graphnet.Variable(graphnet.random.normal((500,)) * 2.0 + 1.0) for _ in range(2))
        return x

    traced(body)
    traced(body)
    values = [v.numpy() for v in made]
    assert all(abs(a.mean() - 1) < 0.5 and 1.5 < a.std() < 2.5 for a in values)
    assert len({a.tobytes() for a in values}) == 4  # each draw is a new one, also in the second trace
    with pytest.raises(GraphError, match=r"'bad'.*depends on the tensor(?s:.*)test_module.py"):
        traced(lambda x: graphnet.Variable(x, name="bad") * x)


def test_layers_build_and_fill_their_variables_at_once_in_a_trace():
    class Filled(layers.Layer):
        def build(self, shape):
            self.w = graphnet.Variable(graphnet.random.normal([shape[-1], 2]), name="w")
            self.w.assign(np.full((3, 2), 7.0))

        def call(self, x):
            return ops.matmul(x, self.w)

    layer = Filled(name="filled")
    model = graphnet.Model(x := graphnet.Input((3,)), layer(x))
    assert (layer.w.numpy() == 7).all() and layer.w.path == "filled/w"
    np.testing.assert_allclose(model(np.ones((1, 3), "float32")), [[21, 21]])


def test_dropped_modules_are_freed():
    module = Leafy()
    graphnet.function(lambda m, x: m.v * x)(module, np.ones(1, "float32"))
    import weakref

    ref = weakref.ref(module)
    del module
    gc.collect()
    assert ref() is None
