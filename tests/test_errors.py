"""What users mistype and misconnect: each error says who, what was expected and received, and how to mend it."""
import re

import numpy as np
import pytest

import graphnet
from graphnet import layers, ops
from graphnet.errors import DataError, DTypeError, GraphError, ShapeError, SymbolicTensorError

Input = graphnet.Input


class NoSuper(layers.Layer):
    def __init__(self):
        self.inner = layers.Dense(2)

    def call(self, x):
        return self.inner(x)


class NoReturn(layers.Layer):
    def call(self, x):
        ops.exp(x)


class NumpyOfWeight(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight((3,))

    def call(self, x):
        return x * np.exp(self.kernel)


def dense_model(**shape):
    x = graphnet.Input(name="a", **(shape or {"shape": (3,)}))
    return graphnet.Model(x, layers.Dense(2)(x), name="one")


def predict(x, **shape):
    return dense_model(**shape).predict(x, verbose=0)


CASES = [
    (lambda: layers.Dense(2)(None), GraphError, r"'dense\S*' \(Dense\) expects a tensor or an array; received None"),
    (lambda: layers.Dense(2)("x"), GraphError, r"received 'x'"),
    (lambda: layers.Dense(2)(), TypeError, r"expects the argument 'inputs'"),
    (lambda: layers.Dense(2)(Input((3,)), masked=1), TypeError, r"'masked'.*takes \(inputs"),
    (lambda: layers.MultiHeadAttention(2, 3)(Input((4, 3))), TypeError, r"expects the argument 'value'"),
    (lambda: layers.Flatten(Input((3,))), TypeError, r"makes a layer.*Flatten\(\)\(x\)"),
    (lambda: layers.Dense(2, actvation="relu"), TypeError, r"'actvation'. Did you mean 'activation'"),
    (lambda: layers.Dense(2, activation="rleu"), ValueError, r"'rleu'. Did you mean 'relu'"),
    (lambda: layers.Layer().add_weight("w", (3,)), ValueError, r"add_weight\(shape=..., name='w'\)"),
    (lambda: NoSuper()(Input((3,))), RuntimeError, r"NoSuper.__init__ does not call super\(\).__init__\(\)"),
    (lambda: NoReturn()(Input((3,))), GraphError, r"'no_return\S*' \(NoReturn\).*returned None.*`return`"),
    (lambda: NumpyOfWeight()(Input((3,))), SymbolicTensorError, r"kernel|variable.*graphnet.ops.exp"),
    (lambda: Input((3,), name="a") + Input((4,), name="b"), ShapeError,
     r"3 meets 4(?s:.*)operation 'add\S*' \(Add\) on 'a' \(None, 3\) made at \S+test_errors.py:\d+; "
     r"'b' \(None, 4\) made at \S+test_errors.py:\d+"),
    (lambda: ops.sum(Input((3,)), axis=4), ShapeError, r"axis=4(?s:.*)operation 'sum\S*'.*made at \S+test_errors.py"),
    (lambda: np.exp(Input((3,))), SymbolicTensorError, r"np.exp cannot compute it. Use graphnet.ops.exp"),
    (lambda: Input((3,)).__setitem__(0, 1), SymbolicTensorError, r"slice_update"),
    (lambda: Input((3,)).numpy(), AttributeError, r"no attribute 'numpy'.*graphnet.ops"),
    (lambda: graphnet.Variable([1.0]).assign(Input((1,))), SymbolicTensorError, r"cannot be assigned to variable"),
    (lambda: graphnet.Sequential(layers.Dense(2), layers.Dense(2)), TypeError, r"list of layers.*brackets"),
    (lambda: graphnet.Sequential()(np.ones((2, 3), "float32")), GraphError, r"at least one layer.*add\(layer\)"),
    (lambda: graphnet.Sequential().pop(), ValueError, r"no layer to take off"),
    (lambda: graphnet.utils.set_random_seed(-1), ValueError, r"received -1"),
    (lambda: predict(None), DataError, r"'one' expects an array, .*received None"),
    (lambda: predict("abc"), DataError, r"received 'abc'"),
    (lambda: predict(3.0), DataError, r"received 3.0"),
    (lambda: predict(np.float32(3)), DataError, r"first axis"),
    (lambda: predict(lambda: iter([])), DataError, r"Call it: predict\(generator\(\)\)"),
    (lambda: predict([[1, 2, 3], [1, 2]]), DataError, r"padded first"),
    (lambda: predict(np.zeros((2, 12), "float32"), shape=(2, 2, 3)), DataError, r"x.reshape\(-1, 2, 2, 3\)"),
    (lambda: predict(np.zeros((2, 3, 2, 2), "float32"), shape=(2, 2, 3)), DataError, r"channels_first"),
    (lambda: dense_model(batch_shape=(4, 3))(np.zeros((5, 3), "float32")), DataError, r"batches of 4"),
    (lambda: dense_model()(np.zeros((2, 3)), np.zeros((2, 3))), TypeError, r"'one'.*one argument.*brackets: \[a, b\]"),
    (lambda: dense_model()([Input((3,)), Input((3,))]), DataError, r"'one' expects 1 inputs \['a'\]; received 2"),
    (lambda: graphnet.Sequential([layers.Dense(2)])([np.zeros((2, 3))] * 2), DataError, r"one array; received a list of 2"),
    (lambda: graphnet.Model(inputs=Input((3,)), ouputs=1), TypeError,
     r"inputs and outputs together.*received inputs=, ouputs="),
    (lambda: layers.Conv2D(2, 3)([Input((8, 8, 3))]), ShapeError, r"one input; received a list of 1"),
    (lambda: layers.Reshape(6), ValueError, r"a tuple of whole numbers.*received 6"),
    (lambda: layers.Reshape("ab"), ValueError, r"received 'ab'"),
    (lambda: ops.matmul(Input((3,))), TypeError, r"matmul: missing.*'x2'. It takes \(x1, x2\)"),
    (lambda: Input((3,))[:, 0.5], DTypeError, r"received 0.5(?s:.*)made at"),
    (lambda: Input((3,))[:, np.array([True, False, True])], DTypeError, r"whole numbers"),
    (lambda: layers.Dense(2).output, AttributeError, r"'dense\S*' was not called on symbolic tensors.*Input"),
    (lambda: layers.Dense(2).outputt, AttributeError, r"no attribute 'outputt'"),
]


@pytest.mark.parametrize(("mistake", "kind", "text"), CASES, ids=[re.sub(r"\W+", " ", text)[:40] for _, _, text in CASES])
def test_mistake(mistake, kind, text):
    with pytest.raises(kind, match=text):
        mistake()


def test_the_line_inside_a_layer_of_the_users_is_in_the_traceback():
    class Own(layers.Layer):
        def call(self, x):
            return ops.matmul(x, ops.ones((4, 4)))  # the line

    with pytest.raises(ShapeError, match="in the call of layer 'own") as caught:
        Own()(Input((3,)))
    assert any(entry.name == "call" and str(entry.path).endswith("test_errors.py") for entry in caught.traceback)


def test_an_unknown_pass_to_leave_out_is_an_error():
    with graphnet.settings(disable=frozenset({"fusion"})), pytest.raises(ValueError, match="cse.*fuse.*received fusion"):
        dense_model()(np.zeros((2, 3), "float32"))
