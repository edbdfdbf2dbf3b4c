"""graphnet.function: one graph for each signature, what a trace may do, and what it says where it may not."""


import numpy as np
import pytest
from counted import Counted
from hypothesis import given
from hypothesis import strategies as st

import graphnet
from graphnet import layers, ops
from graphnet.errors import DTypeError, ShapeError, SymbolicTensorError, UnsupportedError
from graphnet.functions.signature import as_specs
from graphnet.graph import Variable

TensorSpec = graphnet.TensorSpec
ONES = np.ones(3, "float32")


# ---- signatures

LEAVES = st.sampled_from([None, True, 3, 2.5, "text", ONES, np.arange(4), np.float32(2.0), np.zeros((2, 2), bool)])
NESTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


def alike(a, b):
    """Whether two results are nested alike and hold the same numbers; a dict's order counts."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    return a is None and b is None or (b is not None and a is not None and np.array_equal(a, b))


@given(NESTS)
def test_structures_go_in_and_come_out(nest):
    def kept(value):
        return graphnet.tree.map_structure(lambda leaf: None if isinstance(leaf, str) else leaf, value)

    function = Counted(lambda value: (kept(value), 1))
    expected = kept(nest), 1
    assert alike(function(nest), expected) and alike(function(nest), expected)
    assert len(function.traces) == 1
    assert alike(function.function.concrete_functions[0](nest), expected)


@given(NESTS, NESTS)
def test_a_trace_is_shared_by_equal_signatures_alone(first, second):
    def described(value):
        if isinstance(value, dict):
            return "dict", sorted((k, described(v)) for k, v in value.items())
        if isinstance(value, (list, tuple)):
            return type(value).__name__, [described(v) for v in value]
        return repr((value.shape, value.dtype) if isinstance(value, (np.ndarray, np.generic)) else value)

    function = Counted(lambda value: 0)
    function(first), function(second)
    assert (len(function.traces) == 1) == (repr(described(first)) == repr(described(second)))


def test_python_values_are_a_part_of_the_signature():
    function = Counted(lambda x, n: x * n)
    for n in (1, True, 1.0, 0.0, -0.0, float("nan")):
        for _ in range(3):
            np.testing.assert_array_equal(function(ONES, n), ONES * n)
    assert len(function.traces) == 6
    function(ONES, 0.0), function(ONES, -float("nan"))
    assert len(function.traces) == 6
    named = Counted(lambda x, f: f(x))
    assert named(ONES, ops.negative)[0] == -1 and named(ONES, ops.exp)[0] > 2 and len(named.traces) == 2
    with pytest.raises(UnsupportedError, match=r"argument args.*hashable"):
        named(ONES, {1, 2})
    with pytest.raises(DTypeError, match=r"argument args\[0\].*<U1"):
        named(np.array(["a"]), ops.exp)


def test_one_signature_however_arguments_are_passed():
    @graphnet.function
    def f(x, y=2.0, *rest, flag=False, **more):
        return x * y + sum(rest) + (10 if flag else 0) + more.get("z", 0)

    for _ in range(2):
        assert f(ONES)[0] == f(ONES, 2.0)[0] == f(x=ONES)[0] == f(ONES, y=2.0, flag=False)[0] == 2
    assert len(f.concrete_functions) == 1
    assert f(ONES, 1.0, ONES, ONES)[0] == 3 and f(ONES, flag=True)[0] == 12 and f(ONES, z=ONES)[0] == 3
    with pytest.raises(TypeError, match="function 'f': missing a required argument: 'x'"):
        f()


def test_dtypes_and_byte_orders_and_layouts():
    function = Counted(lambda x: x + x)
    a = np.arange(6, dtype="float32").reshape(2, 3)
    for x in (a, a.astype(">f4"), np.asfortranarray(a), np.repeat(a, 2, 1)[:, ::2]):
        result = function(x)
        assert result.dtype == np.dtype("float32")
        np.testing.assert_array_equal(result, a + a)
    assert len(function.traces) == 1 and function(a.astype("int64")).dtype == np.int64


def test_ambient_choices_are_a_part_of_the_signature():
    dropout = layers.Dropout(0.5)

    class Wrapper(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = graphnet.function(lambda x: dropout(x))

        def call(self, x):
            return self.inner(x)

    wrapper, x = Wrapper(), np.ones((40,), "float32")
    np.testing.assert_array_equal(wrapper(x), x)
    dropped = wrapper(x, training=True)
    assert (dropped != x).any() and (wrapper(x, training=True) != dropped).any()  # a draw at each run
    np.testing.assert_array_equal(wrapper(x), x)


# ---- an input_signature


def test_an_input_signature_is_one_graph():
    function = Counted(lambda x: ops.sum(x, axis=0), input_signature=[((None, 3), "float32")])
    with pytest.raises(TypeError, match="takes|hold|place|argument"):
        function(np.ones((2, 3), "float32"), 1)
    total = graphnet.function(lambda x: ops.sum(x, axis=0), input_signature=[((None, 3), "float32")], name="total")
    for n in (5, 2, 0, 1):
        np.testing.assert_array_equal(total(np.ones((n, 3), "float32")), [n, n, n])
    np.testing.assert_array_equal(total([[1, 2, 3]]), [1, 2, 3])  # numbers of Python's take the dtype that is due
    np.testing.assert_array_equal(total(Variable(np.ones((2, 3)), dtype="float32")), [2, 2, 2])
    assert len(total.concrete_functions) == 1 and total.get_concrete_function() is total.concrete_functions[0]


@pytest.mark.parametrize(
    "bad, error, text",
    [
        (np.ones((2, 4), "float32"), ShapeError, r"'total': argument x expects shape \(None, 3\).*received shape \(2, 4\)"),
        (np.ones(3, "float32"), ShapeError, r"received shape \(3,\)"),
        (np.ones((2, 3)), DTypeError, "expects float32.*received float64"),
        ("text", TypeError, "expects an array.*received 'text'"),
        (None, TypeError, "None"),
        ([[1, 2], [3]], TypeError, "received"),
        ([[1, 2, 3j]], TypeError, "received"),
        ({"a": 1}, TypeError, "dict"),
    ],
)
def test_what_does_not_fit_the_input_signature_is_refused(bad, error, text):
    @graphnet.function(input_signature=[TensorSpec((None, 3))])
    def total(x):
        return ops.sum(x)

    with pytest.raises(error, match=text):
        total(bad)


def test_structures_in_an_input_signature():
    spec = [{"a": TensorSpec((None,)), "b": [((2,), "int32"), TensorSpec(())]}]

    @graphnet.function(input_signature=spec)
    def f(batch, scale=2.0):
        return {"out": batch["a"] * scale, "n": batch["b"][0] + 1}

    good = {"a": ONES, "b": [np.zeros(2, "int32"), 1.0]}
    assert f(good)["out"].tolist() == [2, 2, 2] and f(good)["n"].tolist() == [1, 1]
    for bad, text in (
        ({"a": ONES}, r"argument batch expects a dict with the keys \['a', 'b'\]"),
        ({**good, "b": [ONES]}, r"batch\['b'\] expects a list of 2"),
        ({**good, "b": [np.zeros(2, "int32"), [1.0]]}, r"batch\['b'\]\[1\].*\(1,\)"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            f(bad)
    with pytest.raises(TypeError, match="scale has no place in the input_signature"):
        f(good, 3.0)
    for bad in ([3], ["float32"], "float32", [((2,), 3)]):
        with pytest.raises(TypeError, match="input_signature"):
            graphnet.function(lambda x: x, input_signature=bad)
    with pytest.raises(TypeError, match="2 specs; the function takes 1"):
        graphnet.function(lambda x: x, input_signature=[TensorSpec(()), TensorSpec(())])(1.0)
    assert as_specs([(None, 3), "float32"]) == TensorSpec((None, 3))


def test_tensor_specs():
    spec = TensorSpec([None, np.int64(3)], np.int32, name="ids")
    assert (
        spec.shape == (None, 3)
        and spec.dtype == "int32"
        and repr(spec) == "TensorSpec(shape=(None, 3), dtype='int32', name='ids')"
    )
    assert spec.is_compatible_with(np.zeros((7, 3), "int32")) and not spec.is_compatible_with(np.zeros((7, 3), "int64"))
    assert TensorSpec.from_tensor(np.zeros((2, 3))) == TensorSpec((2, 3), "float64")
    for bad in (("a",), (-1,)):
        with pytest.raises(ShapeError, match="ints and None"):
            TensorSpec(bad)


def test_open_extents_serve_what_comes_after():
    function = Counted(lambda x: x * 2.0)
    concrete = function.function.get_concrete_function(TensorSpec((None, 3)))
    for n in (1, 4):
        function(np.ones((n, 3), "float32"))
    assert len(function.traces) == 1 and concrete(np.ones((2, 3), "float32")).shape == (2, 3)
    function(np.ones((1, 4), "float32"))
    assert len(function.traces) == 2
    relaxed = Counted(lambda x, n: x * n, reduce_retracing=True)
    for n in range(1, 9):
        assert relaxed(np.ones((n, 3), "float32"), 2).shape == (n, 3)
    assert len(relaxed.traces) == 2 and relaxed.function.concrete_functions[-1].specs == [TensorSpec((None, 3))]
    with pytest.raises(ShapeError):  # what is put together at the trace is checked for each call's extents
        graphnet.function(lambda x, y: x + y, input_signature=[TensorSpec((None,)), TensorSpec((None,))])(
            np.ones(2, "float32"), np.ones(3, "float32")
        )


# ---- tracing


def test_python_code_runs_while_tracing_only():
    function = Counted(lambda x: x + 1)
    for _ in range(4):
        function(ONES)
    assert len(function.traces) == 1
    function(np.ones(4, "float32"))
    assert len(function.traces) == 2


def test_functions_inside_of_functions_models_and_layers_are_a_part_of_their_graph():
    inner = Counted(lambda x: x * 2.0)
    outer = graphnet.function(lambda x: inner(inner(x)) + 1.0)
    assert outer(ONES).tolist() == [5, 5, 5] and len(inner.traces) == 2 and not inner.function.concrete_functions

    class Doubled(layers.Layer):
        @graphnet.function
        def call(self, x, training=False):
            return inner(x) + (10.0 if training else 0.0)

    layer = Doubled()
    assert layer(ONES).tolist() == [2, 2, 2] and layer(ONES, training=True).tolist() == [12, 12, 12]
    x = graphnet.Input((3,))
    model = graphnet.Model(x, inner(layer(x)))
    batch = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(model(batch), 4 * batch)
    np.testing.assert_array_equal(model.predict(batch, verbose=0), 4 * batch)
    specified = graphnet.function(lambda x: x * 3.0, input_signature=[TensorSpec((None, 3))])
    specified(batch)
    np.testing.assert_array_equal(graphnet.Model(x, specified(x))(batch), 3 * batch)


def test_models_and_modules_as_arguments_and_closures():
    dense, other = layers.Dense(2), layers.Dense(2)
    x = np.ones((1, 3), "float32")
    apply = Counted(lambda layer, x: layer(x))
    other.build((None, 3))
    for layer in (dense, other, dense):
        np.testing.assert_allclose(apply(layer, x), layer(x), rtol=1e-6)
    assert len(apply.traces) == 3  # two layers, and the second trace of the first, which made its variables
    closure = graphnet.function(lambda x: dense(x))
    before = closure(x)
    dense.bias.assign([1.0, 2.0])
    np.testing.assert_allclose(closure(x), before + [1.0, 2.0], rtol=1e-6)
    assert {id(v) for v in closure.concrete_functions[0].variables} == {id(dense.kernel), id(dense.bias)}
    model = graphnet.Sequential([layers.Dense(2)])
    np.testing.assert_allclose(graphnet.function(model)(x), model(x), rtol=1e-6)
    v = Variable(2.0, name="an_argument")
    scale = graphnet.function(lambda v, x: v * x)
    assert scale(v, ONES)[0] == 2 and scale(v.assign(3.0), ONES)[0] == 3 and len(scale.concrete_functions) == 1
    assert "Variable 'an_argument'" in str(scale.concrete_functions[0])


def test_control_flow_by_ops():
    @graphnet.function
    def collatz(n):
        return ops.while_loop(
            lambda n, steps: n > 1, lambda n, steps: (ops.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1), (n, 0)
        )[1]

    assert int(collatz(np.int32(27))) == 111 and int(collatz(np.int32(6))) == 8 and len(collatz.concrete_functions) == 1
    choose = graphnet.function(lambda x: ops.cond(ops.sum(x) > 0, lambda: x * 2, lambda: -x))
    assert choose(ONES)[0] == 2 and choose(-ONES)[0] == 1
    running = graphnet.function(lambda x: ops.scan(lambda c, v: (c + v, c + v), 0.0, x)[1])
    np.testing.assert_array_equal(running(np.arange(40, dtype="float32")), np.cumsum(np.arange(40)))
    power = graphnet.function(lambda x, n: ops.fori_loop(0, n, lambda i, y: y * 2, x))
    assert power(ONES, np.int32(5))[0] == 32


@pytest.mark.parametrize(
    "body, op",
    [
        (lambda x: x if ops.sum(x) > 0 else -x, "ops.cond"),
        (lambda x: [v for v in range(x[0])], "ops.scan"),
        (lambda x: x * float(x[0]), "ops.where"),
        (lambda x: x * x[0].item(), "ops.where"),
        (lambda x: np.exp(x), "ops.exp"),
        (lambda x: np.asarray(x), "graphnet.ops"),
        (lambda x: max(x[0], x[1]), "ops.where"),
        (lambda x: np.sum(x), "ops.sum"),
    ],
)
def test_what_cannot_be_traced_names_the_line_and_the_op(body, op):
    with pytest.raises((SymbolicTensorError, AttributeError), match=rf"{op}(?s:.*)test_function.py:\d+"):
        graphnet.function(body)(ONES)


def test_an_extent_left_open_is_no_number_of_pythons():
    with pytest.raises(TypeError, match="ops.fori_loop"):
        graphnet.function(lambda x: [i for i in range(ops.shape(x)[0])], input_signature=[TensorSpec((None,))])(ONES)
    repeated = graphnet.function(
        lambda x: ops.fori_loop(0, ops.shape(x)[0], lambda i, y: y + 2.0, 0.0), input_signature=[TensorSpec((None,))]
    )
    assert repeated(ONES) == 6 and repeated(np.ones(30, "float32")) == 60


def test_what_cannot_be_returned():
    with pytest.raises(TypeError, match="function 'f' expects to return tensors.*'text'"):
        graphnet.function(lambda x: (x, "text"), name="f")(ONES)
