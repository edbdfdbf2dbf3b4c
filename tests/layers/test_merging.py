"""Merging layers against numpy, their errors, and Keras where it is installed."""
import numpy as np
import pytest
from running import again, draw, everywhere, like_keras

import graphnet
from graphnet import layers
from graphnet.errors import ShapeError

X, Y, ROW = draw(2, 5, 4), draw(2, 5, 4), draw(2, 1, 4)
FUNCTIONS = {"Add": sum, "Multiply": lambda v: np.prod(np.stack(np.broadcast_arrays(*v)), 0),
             "Average": lambda v: sum(v) / len(v),
             "Maximum": lambda v: np.max(np.stack(np.broadcast_arrays(*v)), 0),
             "Minimum": lambda v: np.min(np.stack(np.broadcast_arrays(*v)), 0)}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("inputs", [[X, Y], [X, Y, ROW], [X]], ids=len)
def test_merging_is_numpy_with_broadcasting(name, inputs):
    known = inputs[-1] is ROW
    y = everywhere(getattr(layers, name)(), inputs, known=known)
    np.testing.assert_allclose(y, FUNCTIONS[name](inputs), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(getattr(layers, name.lower())(inputs), y)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_inputs_of_fewer_axes_get_them_behind_the_batch_axis(name):
    flat = draw(2, 4)
    np.testing.assert_allclose(everywhere(getattr(layers, name)(), [X, flat], known=True), FUNCTIONS[name]([X, flat[:, None]]),
                               rtol=1e-6)


def test_subtract_takes_two():
    np.testing.assert_allclose(everywhere(layers.Subtract(), [X, Y]), X - Y)
    np.testing.assert_allclose(layers.subtract([X, Y]), X - Y)
    with pytest.raises(ShapeError, match="exactly 2 inputs; received 3"):
        layers.Subtract()([X, Y, X])


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concatenate_is_numpy(axis):
    inputs = [draw(2, 5, 4), draw(*[3 if i == axis % 3 else s for i, s in enumerate((2, 5, 4))])]
    np.testing.assert_array_equal(everywhere(layers.Concatenate(axis), inputs, known=True), np.concatenate(inputs, axis))
    np.testing.assert_array_equal(layers.concatenate(inputs, axis=axis), np.concatenate(inputs, axis))
    assert again(layers.Concatenate(axis)).axis == axis


DOTS = [(1, (2, 4), (2, 4), "ab,ab->a"), ((1, 2), (2, 3, 5), (2, 6, 3), "abc,adb->acd"),
        (-1, (2, 3, 5), (2, 4, 5), "abc,adc->abd"),
        ((2, 1), (2, 3, 5), (2, 5), "abc,ac->ab"), ((1, 1), (2, 5), (2, 5, 3), "ab,abc->ac"),
        ((3, 1), (2, 3, 4, 5), (2, 5, 6, 2), "abcd,adef->abcef")]


@pytest.mark.parametrize("axes, left, right, equation", DOTS)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot_is_einsum(axes, left, right, equation, normalize):
    a, b = draw(*left), draw(*right)
    y = everywhere(layers.Dot(axes, normalize=normalize), [a, b], known=True)
    if normalize:
        i, j = (axes, axes) if isinstance(axes, int) else axes
        a, b = a / np.linalg.norm(a, axis=i, keepdims=True), b / np.linalg.norm(b, axis=j, keepdims=True)
    expected = np.einsum(equation, a, b)
    np.testing.assert_allclose(y, expected[:, None] if expected.ndim == 1 else expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layers.dot([draw(2, 3)] * 2, axes=1).shape, (2, 1))


def test_errors_name_the_shapes_and_the_extents_that_clash():
    a, b = graphnet.Input((4,)), graphnet.Input((5,))
    with pytest.raises(ShapeError, match=r"\(None, 4\) and \(None, 5\): on axis -1, 4 and 5 meet"):
        layers.add([a, b])
    with pytest.raises(ShapeError, match=r"axis 1, 5 and 6 meet"):
        layers.concatenate([graphnet.Input((5, 3)), graphnet.Input((6, 3))])
    with pytest.raises(ShapeError, match="one number of axes"):
        layers.concatenate([a, graphnet.Input((5, 3))])
    with pytest.raises(ShapeError, match=r"received 4 and 5, in shapes \(None, 4\) and \(None, 5\)"):
        layers.dot([a, b], axes=1)
    with pytest.raises(ShapeError, match="other than the batch axis"):
        layers.dot([a, a], axes=0)
    with pytest.raises(ShapeError, match="one batch size"):
        layers.add([draw(2, 3), draw(3, 3)])
    with pytest.raises(ShapeError, match="list of one or more inputs"):
        layers.Add()(a)
    for axes, kind in (("x", TypeError), ((1, 2, 3), ValueError)):
        with pytest.raises(kind, match="axes to be a whole number or two"):
            layers.Dot(axes)


@pytest.mark.parametrize("make, inputs", [
    *[(lambda L, name=name: getattr(L, name)(), [X, Y, ROW]) for name in FUNCTIONS], (lambda L: L.Subtract(), [X, ROW]),
    (lambda L: L.Concatenate(axis=1), [X, ROW]),
    *[(lambda L, axes=axes: L.Dot(axes, normalize=True), [draw(*a), draw(*b)]) for axes, a, b, _ in DOTS],
])
def test_as_keras(make, inputs):
    like_keras(make, inputs)
