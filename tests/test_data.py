"""Arrays as batches: what they hold, their order, weights, and errors before anything is trained."""
import warnings

import numpy as np
import pytest
from data_cases import Numbers, rows, taken

import graphnet
from graphnet.errors import DataError
from graphnet.training.data import adapt, split_validation

pytestmark = pytest.mark.usefixtures("no_thread_is_left_over")


# ---- arrays


def test_arrays_come_in_order_with_a_smaller_last_batch():
    x, y = rows(10), np.arange(10)
    batches = adapt(x, y, batch_size=4)
    found = taken(batches)
    assert batches.num_batches == 3 and [len(b[0]) for b in found] == [4, 4, 2] and all(b[2] is None for b in found)
    np.testing.assert_array_equal(np.concatenate([b[0] for b in found]), x)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in found]), y)
    assert found[0][0].base is not None and np.shares_memory(found[0][0], x), "a view, not a copy"
    assert adapt(rows(100)).num_batches == 4 and adapt(rows(100), steps=2).num_batches == 2


def test_structures_are_kept():
    x = {"a": rows(6), "b": [rows(6, 1), np.arange(6)]}
    batch = taken(adapt(x, (rows(6), None), batch_size=4))[1]
    assert (
        batch[0]["a"].shape == (2, 3)
        and batch[0]["b"][1].tolist() == [4, 5]
        and batch[1][1] is None
        and type(batch[1]) is tuple
    )


@pytest.mark.parametrize("given, due", [("float64", "float32"), ("float16", "float32"), (">f4", "float32"), ("int64", "int64"),
                                        ("uint8", "uint8"), ("bool", "bool"), (">i4", "int32")])
@pytest.mark.parametrize("shuffle", [False, True])
def test_floats_become_the_default_type_and_others_stay(given, due, shuffle):
    batch = taken(adapt(rows(4).astype(given), shuffle=shuffle))[0][0]
    assert batch.dtype.name == due and batch.dtype.isnative
    assert sorted(map(tuple, batch.astype("int64"))) == sorted(map(tuple, rows(4).astype(given).astype("int64")))


def test_lists_of_numbers_are_one_array_unless_the_model_has_as_many_parts():
    batch = taken(adapt([[1, 2], [3, 4], [5, 6]], [0.5, 1, 2]))[0]
    assert batch[0].shape == (3, 2) and batch[0].dtype == np.int32 and batch[1].dtype == np.float32
    two = taken(adapt([[1, 2, 3], [4, 5, 6]], inputs=2))[0][0]
    assert [part.tolist() for part in two] == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    "make", [lambda x: np.asfortranarray(x), lambda x: np.repeat(x, 2, 1)[:, ::2], lambda x: x[::-1][::-1]]
)
def test_arrays_of_any_layout(make):
    x = make(rows(9))
    found = np.concatenate([b[0] for b in taken(adapt(x, batch_size=2, shuffle=True))])
    np.testing.assert_array_equal(found[np.argsort(found[:, 0])], rows(9))


def test_shuffling_is_by_numpy_as_in_keras_and_repeats_with_the_seed():
    x, y = rows(10, 1), np.arange(10)

    def order(shuffle):
        graphnet.utils.set_random_seed(3)
        batches = adapt(x, y, batch_size=4, shuffle=shuffle)
        epochs = [taken(batches), taken(batches)]
        assert all((b[0][:, 0] == b[1]).all() for epoch in epochs for b in epoch)
        return [np.concatenate([b[1] for b in epoch]).tolist() for epoch in epochs]

    first, second = order(True)
    assert order(True) == [first, second] and first != second and sorted(first) == list(range(10))
    np.random.seed(3)
    assert first == np.random.permutation(10).tolist()
    within = order("batch")[0]
    assert within != list(range(10)) and [sorted(within[i:i + 4]) for i in (0, 4, 8)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_steps_go_on_in_the_next_epoch_and_warn_at_the_end():
    batches = adapt(np.arange(5), batch_size=1, steps=2)
    assert [int(b[0][0]) for b in taken(batches)] == [0, 1] and not batches.ran_out
    assert [int(b[0][0]) for b in taken(batches)] == [2, 3]
    with pytest.warns(UserWarning, match="ran out of data.*received 1 of 2"):
        assert [int(b[0][0]) for b in taken(batches)] == [4]
    assert batches.ran_out and [int(b[0][0]) for b in taken(batches)] == [0, 1] and not batches.ran_out


def test_mapped_files_are_read_batch_by_batch(tmp_path):
    np.save(tmp_path / "x.npy", rows(4000, 64, "float64"))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    for shuffle in (False, True):
        batches = adapt(x[:3000], np.arange(3000), batch_size=100, shuffle=shuffle)
        assert np.shares_memory(batches.parts[0].array, x), "no copy of the whole"
        for part, labels, _ in batches.epoch():
            assert part.dtype == np.float32 and not np.shares_memory(part, x)
            np.testing.assert_array_equal(part[:, 0], labels * 64)
    (a, _, _), (b, _, _) = split_validation(x, None, None, 0.25)
    assert a.shape == (3000, 64) and np.shares_memory(a, x) and np.shares_memory(b, x)


def test_tables():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "c": [True, False, True]})
    x, y, _ = taken(adapt(table, table["a"]))[0]
    assert (
        x.dtype == np.float32
        and x.tolist() == [[1, 0.5, 1], [2, 1.5, 0], [3, 2.5, 1]]
        and y.tolist() == [1, 2, 3]
        and y.dtype == np.int64
    )
    assert taken(adapt(dict(table[["a"]])))[0][0]["a"].shape == (3,)
    assert np.isnan(taken(adapt(pandas.DataFrame({"a": pandas.array([1, None], "Int64"), "b": [1.0, 2.0]})))[0][0][1, 0])
    with pytest.raises(DataError, match=r"its columns \['word'\].*get_dummies"):
        adapt(table.assign(word=["x", "y", "z"]))


@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "coo_array"])
def test_sparse_matrices_become_dense_by_batch(form):
    sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    dense = np.eye(6, 4)
    for shuffle in (False, True):
        batches = adapt(getattr(sparse, form)(dense), np.arange(6), batch_size=4, shuffle=shuffle)
        for x, y, _ in batches.epoch():
            assert type(x) is np.ndarray and x.dtype == np.float32
            np.testing.assert_array_equal(x, dense[y])
    train, held = split_validation(getattr(sparse, form)(dense), np.arange(6), None, 0.5)
    np.testing.assert_array_equal(taken(adapt(*held))[0][0], dense[3:])


# ---- weights


def test_class_weights_become_sample_weights():
    weight = {0: 1.0, 1: 4.0}
    for y in ([1, 0, 2], [[1], [0], [2]], np.eye(3)[[1, 0, 2]], np.array([1.0, 0.0, 2.0])):
        batch = taken(adapt(rows(3), np.asarray(y), class_weight=weight))[0]
        assert batch[2].tolist() == [4, 1, 1] and batch[2].dtype == np.float32
    assert taken(adapt(Numbers(2), class_weight=weight))[1][2].tolist() == [4, 4]


def test_sample_weights_take_the_structure_of_y():
    y, w = {"a": rows(3), "b": np.arange(3)}, np.array([1.0, 2.0, 3.0])
    found = taken(adapt(rows(3), y, sample_weight=w))[0][2]
    assert found["a"].tolist() == found["b"].tolist() == [1, 2, 3]
    found = taken(adapt(rows(3), y, sample_weight={"b": w}))[0][2]
    assert found["a"] is None and found["b"].dtype == np.float32
    assert taken(adapt(rows(3), [rows(3), rows(3)], sample_weight=[None, w]))[0][2][0] is None


# ---- errors


def generator():
    yield rows(2), rows(2)


def wrong_tuple():
    yield (rows(2),) * 4


def listed():
    yield [rows(2), rows(2)]


def uneven():
    yield rows(2), rows(3)


ERRORS = [
    (lambda: adapt(rows(3), rows(4)), r"x has 3, y has 4"),
    (lambda: adapt({"a": rows(3), "b": rows(2)}), r"x\['a'\] has 3, x\['b'\] has 2"),
    (lambda: adapt(rows(3), rows(3), sample_weight=np.ones(2)), r"sample_weight has 2"),
    (lambda: adapt([np.ones(3), np.ones(2)]), r"rows of one array"),
    (lambda: adapt([[1, 2], [3]]), r"padded first"),
    (lambda: adapt(rows(0), rows(0)), r"at least one row"),
    (lambda: adapt(None), r"received None"),
    (lambda: adapt([]), r"to hold arrays; received \[\]"),
    (lambda: adapt("abc"), r"received 'abc'"),
    (lambda: adapt(generator), r"Call it: fit\(generator\(\)\)"),
    (lambda: adapt(np.float32(3)), r"first axis"),
    (lambda: adapt(np.array(["a", "b"])), r"x to hold numbers.*Encode"),
    (lambda: adapt(rows(2), np.array([1, None])), r"y to hold numbers.*dtype object"),
    (lambda: adapt(rows(2).astype(complex)), r"complex128"),
    (lambda: adapt(rows(2), [3, "x"]), r"y to hold numbers"),
    (lambda: adapt(rows(2), object()), r"y to be an array; received <object"),
    (lambda: adapt(generator(), rows(2)), r"no y where x is a generator"),
    (lambda: adapt(Numbers(), sample_weight=rows(2)), r"no sample_weight where x is a Numbers"),
    (lambda: adapt(generator(), batch_size=2), r"no batch_size where"),
    (lambda: adapt(rows(2), batch_size=0), r"batch_size to be a positive whole number; received 0"),
    (lambda: adapt(rows(2), steps=1.5), r"steps to be a positive"),
    (lambda: adapt(rows(2), shuffle="rows"), r'shuffle to be True, False or "batch"'),
    (lambda: adapt(rows(2), np.arange(2), class_weight=[1, 2]), r"class_weight to be a dict"),
    (lambda: adapt(rows(2), np.arange(2), class_weight={"cat": 2}), r"class_weight to be a dict"),
    (lambda: adapt(rows(2), np.arange(2), np.ones(2), class_weight={0: 1}), r"not both"),
    (lambda: adapt(rows(2), [np.arange(2)], class_weight={0: 1}), r"one output only"),
    (lambda: adapt(rows(2), class_weight={0: 1}), r"received no y"),
    (lambda: adapt(rows(2), [rows(2), rows(2)], sample_weight=rows(2)), r"sample_weight of shape \(rows,\)"),
    (lambda: adapt(rows(2), {"a": rows(2)}, sample_weight={"b": np.ones(2)}), r"structure of y, a dict of \['a'\]"),
    (lambda: adapt(rows(2), [rows(2)], sample_weight=[np.ones(2)] * 2), r"a list of 1; received a list of 2"),
    (lambda: taken(adapt(wrong_tuple())), r"tuple of 4"),
    (lambda: taken(adapt(listed())), r"Yield a tuple"),
    (lambda: taken(adapt(uneven())), r"x has 2, y has 3"),
    (lambda: taken(adapt(iter([None]))), r"batches with x"),
    (lambda: split_validation(generator(), None, None, 0.2), r"validation_split for arrays only.*validation_data"),
    (lambda: split_validation(rows(10), None, None, 1.5), r"between 0 and 1"),
    (lambda: split_validation(rows(1), None, None, 0.2), r"enough rows"),
]


@pytest.mark.parametrize("act, text", ERRORS, ids=lambda p: p if isinstance(p, str) else "")
def test_errors_teach(act, text):
    with pytest.raises(DataError, match=text) as caught:
        act()
    assert str(caught.value).startswith(("fit ", "fit,"))


def test_validation_is_the_last_rows():
    (x, y, w), (xv, yv, wv) = split_validation({"a": rows(10)}, np.arange(10), None, 0.25)
    assert y.tolist() == list(range(7)) and yv.tolist() == [7, 8, 9] and w is wv is None
    assert xv["a"].shape == (3, 3) and x["a"].shape == (7, 3)


def test_splits_and_class_weights_equal_keras():
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    from keras.src.trainers.data_adapters import array_data_adapter, array_slicing
    x, y = rows(23), np.arange(23) % 3
    for fraction in (0.1, 0.2, 0.33, 0.5):
        theirs = array_slicing.train_validation_split((x, y), fraction)
        ours = split_validation(x, y, None, fraction)
        for mine, their in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine[0], their[0])
    for shuffle in (False, True, "batch"):
        found = []
        for make in (adapt, array_data_adapter.ArrayDataAdapter):
            keras.utils.set_random_seed(4)
            batches = make(x, y, batch_size=5, shuffle=shuffle, class_weight={1: 2.0})
            found.append(list(batches.epoch()) if make is adapt else list(batches.get_numpy_iterator()))
        for mine, their in zip(*found, strict=True):
            for a, b in zip(mine, their, strict=True):
                np.testing.assert_array_equal(a, b)


def test_no_warning_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taken(adapt(rows(5), batch_size=2))
        taken(adapt(generator()))
