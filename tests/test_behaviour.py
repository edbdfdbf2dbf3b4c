"""What an experienced user expects of layers and models, each on the smallest graph that shows it."""
import copy
import pickle

import numpy as np
import pytest

import graphnet
from graphnet import layers, ops


def ones(*shape):
    return np.ones(shape, "float32")


def rows(n=50):
    return (np.arange(3 * n).reshape(n, 3) % 7).astype("float32")


def test_freezing_a_layer_is_seen_by_what_was_compiled():
    x = graphnet.Input((3,))
    norm = layers.BatchNormalization(momentum=0.5)
    inner = graphnet.Model(x, norm(x))
    outer = graphnet.Model(x, inner(x))
    norm.trainable = False
    outer(rows(), training=True)
    assert not norm.moving_mean.numpy().any()  # frozen statistics stay
    norm.trainable = True
    outer(rows(), training=True)
    np.testing.assert_allclose(norm.moving_mean, rows().mean(0) / 2, rtol=1e-5)
    inner.trainable = False
    outer(rows(), training=True)
    np.testing.assert_allclose(norm.moving_mean, rows().mean(0) / 2, rtol=1e-5)


def test_an_attribute_set_between_calls_is_seen_and_costs_one_trace():
    x = graphnet.Input((3,))
    dense = layers.Dense(3, kernel_initializer="identity", activation="relu")
    model = graphnet.Model(x, dense(x))
    assert model(-ones(1, 3)).max() == 0
    dense.activation = graphnet.activations.linear
    assert model(-ones(1, 3)).max() == -1 == model.predict(-ones(1, 3), verbose=0).max()
    kept = model.executable()[0]
    model(ones(2, 3))
    assert model.executable()[0] is kept


def test_attributes_set_by_a_call_do_not_make_each_call_a_trace():
    class Counts(graphnet.Model):
        traces = 0

        def call(self, x):
            self.traces += 1
            return x + 1

    model = Counts()
    for _ in range(3):
        model.predict(ones(2, 3), verbose=0)
    before = model.traces
    model.predict(ones(2, 3), verbose=0)
    assert model.traces == before


def test_training_of_an_outer_layer_reaches_a_compiled_model():
    class Twice(layers.Layer):
        def call(self, x, training=False):
            return 2 * x if training else x

    x = graphnet.Input((2,))
    model = graphnet.Model(x, Twice()(x))

    class Outer(layers.Layer):
        def call(self, x):
            return model(x)

    outer = Outer()
    assert [float(outer(ones(1, 2), training=t).max()) for t in (False, False, True, False)] == [1, 1, 2, 1]


def test_seeds_repeat_weights_and_draws():
    def once():
        graphnet.utils.set_random_seed(3)
        x = graphnet.Input((50,))
        model = graphnet.Model(x, layers.Dropout(0.5)(layers.Dense(50)(x)))
        return [model(ones(1, 50), training=True) for _ in range(2)]

    (a, b), (c, d) = once(), once()
    assert (a == c).all() and (b == d).all() and (a != b).any()


def test_build_and_call_may_name_self_otherwise():
    class Pair(layers.Layer):
        def build(this, a_shape, b_shape):  # noqa: N805 - the name is what is tested
            this.kernel = this.add_weight((a_shape[-1], b_shape[-1]), "ones")

        def call(this, a, b):  # noqa: N805
            return ops.matmul(a, this.kernel) + b

    a, b = graphnet.Input((3,)), graphnet.Input((2,))
    model = graphnet.Model([a, b], [Pair()(a, b), Pair()(a, b=b)])
    assert [float(y.max()) for y in model([ones(1, 3), ones(1, 2)])] == [4, 4]


def test_sequential_without_input_is_built_inside_of_other_models():
    x = graphnet.Input((4,))
    inner = graphnet.Sequential([layers.Dense(3), layers.Dense(2)])
    model = graphnet.Model(x, inner(x))
    assert model.predict(ones(5, 4), verbose=0).shape == (5, 2) and len(inner.weights) == 4
    nested = graphnet.Sequential([graphnet.Input((4,)), graphnet.Sequential([layers.Dense(3)]), layers.Dense(5)])
    assert nested.output_shape == (None, 5) and [w.shape for w in nested.weights] == [(4, 3), (3,), (3, 5), (5,)]


def test_variables_in_numpy_functions():
    dense = layers.Dense(2)
    dense.build((None, 3))
    kernel = dense.kernel.numpy()
    np.testing.assert_array_equal(np.abs(dense.kernel), np.abs(kernel))
    np.testing.assert_array_equal(kernel + dense.kernel, 2 * kernel)
    np.testing.assert_array_equal(np.float32(2) * dense.kernel, 2 * kernel)
    assert np.allclose(dense.bias, 0) and np.sum(dense.kernel) == kernel.sum()
    dense.bias.assign_add([1.0, 2.0])
    dense.bias.assign_sub([0.5, 0.5])
    np.testing.assert_array_equal(dense.bias, [0.5, 1.5])


def test_assignment_in_a_call_is_an_update_of_the_model():
    class Count(layers.Layer):
        def build(self, shape):
            self.total = self.add_weight((), "zeros", trainable=False)

        def call(self, x):
            self.total.assign_add(1.0)
            return x * self.total

    x = graphnet.Input((2,))
    count = Count()
    model = graphnet.Model(x, count(x))
    assert float(count.total) == 0
    assert [float(model(ones(1, 2)).max()) for _ in range(3)] == [1, 2, 3] and float(count.total) == 3


def test_arrays_and_tensors_under_numpy_operators():
    x = graphnet.Input((2,))
    values = [ones(2) + x, 3 - x, np.float32(2) * x, ones(1, 2) @ ops.transpose(x), np.add(ones(2), x), ones(2) > x]
    model = graphnet.Model(x, values)
    got = [np.asarray(y).tolist() for y in model(2 * ones(1, 2))]
    assert got == [[[3, 3]], [[1, 1]], [[4, 4]], [[4]], [[3, 3]], [[False, False]]]
    assert x.reshape((-1, 1)).shape == (None, 1)


def test_training_may_be_given_by_position():
    x = graphnet.Input((2,))
    assert graphnet.Model(x, x + 1)(ones(1, 2), True).max() == 2


@pytest.mark.parametrize("order", ["F", "reversed", "big-endian", "read-only", "float64", "strided"])
def test_arrays_of_any_layout(order):
    x = graphnet.Input((4, 3))
    model = graphnet.Model(x, layers.Dense(2)(x))
    data = np.arange(72, dtype="float32").reshape(6, 4, 3)
    wide = np.zeros((6, 4, 6), "float32")
    wide[..., ::2] = data
    given = {"F": np.asfortranarray(data), "reversed": data[::-1][::-1], "big-endian": data.astype(">f4"),
             "float64": data.astype("float64"), "read-only": data.copy(), "strided": wide[..., ::2]}[order]
    given.flags.writeable = False
    expected = data.astype("float64") @ model.weights[0].numpy().astype("float64")
    np.testing.assert_allclose(model(given), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(model.predict(given, verbose=0), expected, rtol=1e-5, atol=1e-4)


def dense_model():
    x = graphnet.Input((3,), name="a")
    return graphnet.Model(x, layers.Dense(2)(x), name="one")


class Table:
    """Like a pandas table: it iterates over names of columns, and is an array when asked."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    def __iter__(self):
        return iter("abc")

    def __len__(self):
        return len(self.values)


@pytest.mark.parametrize("n", [3, 40])
def test_predict_takes_tables_lists_and_dicts_of_them(n):
    model = dense_model()
    expected = model(rows(n))
    for given in (Table(rows(n)), rows(n).tolist(), {"a": Table(rows(n))}, [Table(rows(n))], {"a": rows(n).tolist()}):
        np.testing.assert_allclose(model.predict(given, verbose=0), expected, rtol=1e-6)


def test_steps_cut_the_rows_evenly_as_in_keras():
    model = dense_model()
    assert model.predict(rows(100), steps=2, verbose=0).shape == (100, 2)
    assert model.predict(rows(100), steps=2, batch_size=10, verbose=0).shape == (20, 2)
    assert model.predict((rows(4) for _ in range(3)), steps=2, verbose=0).shape == (8, 2)


def test_predict_takes_batches_of_the_size_that_the_input_fixes():
    x = graphnet.Input(batch_shape=(4, 3))
    assert graphnet.Model(x, layers.Dense(2)(x)).predict(rows(8), verbose=0).shape == (8, 2)


class Scaled(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight((shape[-1],), "ones")

    def call(self, x):
        return x * self.scale


class Own(graphnet.Model):
    def __init__(self):
        super().__init__()
        self.parts = {"dense": layers.Dense(2), "scaled": [Scaled()]}

    def call(self, x):
        return self.parts["scaled"][0](self.parts["dense"](x))


class OwnFunctional(graphnet.Model):
    """A subclass that is given inputs and outputs."""


def functional():
    x = graphnet.Input((3,))
    return graphnet.Model(x, Scaled()(layers.Dense(2)(x)))


def own_functional():
    x = graphnet.Input((3,))
    return OwnFunctional(x, layers.BatchNormalization()(x))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("make", [functional, own_functional, lambda: graphnet.Sequential([layers.Dense(2), Scaled()]), Own],
                         ids=["functional", "own functional", "sequential", "own"])
def test_copies_compute_the_same_and_share_nothing(make, copied):
    model = make()
    model.predict(rows(4), verbose=0)
    model.set_weights([w + 0.5 for w in model.get_weights()])
    expected = np.array(model.predict(rows(4), verbose=0))
    other = copied(model)
    assert type(other) is type(model) and not {id(w) for w in other.weights} & {id(w) for w in model.weights}
    np.testing.assert_array_equal(other.predict(rows(4), verbose=0), expected)
    other.set_weights([0 * w for w in other.get_weights()])
    np.testing.assert_array_equal(model.predict(rows(4), verbose=0), expected)


def test_a_copied_layer_has_no_calls():
    dense = layers.Dense(2)
    y = dense(graphnet.Input((3,)))
    assert dense.output.key == y.key
    assert copy.deepcopy(dense).calls == [] == pickle.loads(pickle.dumps(dense)).calls
