"""The arena: no two live buffers overlap, whatever runs side by side."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphnet as gn
from graphnet.backends.cpu import memory, plan
from graphnet.backends.cpu.operand import Buffer, Operand, packed_strides
from graphnet.backends.cpu.plan import Builder

lives = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6),
                           st.integers(0, 1000)).map(lambda t: (t[0], t[0] + t[1], t[2])),
                 max_size=30)


@given(lives)
def test_no_two_live_buffers_overlap(items):
    offsets, peak = memory.assign(items)
    for i, (first, last, nbytes) in enumerate(items):
        assert offsets[i] % memory.ALIGNMENT == 0
        assert offsets[i] + nbytes <= peak or nbytes == 0
        for j, (other_first, other_last, other_bytes) in enumerate(items[:i]):
            if nbytes and other_bytes and first <= other_last and other_first <= last:
                assert offsets[i] + nbytes <= offsets[j] or offsets[j] + other_bytes <= offsets[i]


@given(lives)
def test_peak_lies_between_the_busiest_step_and_the_sum(items):
    _, peak = memory.assign(items)
    sizes = [-(-nbytes // memory.ALIGNMENT) * memory.ALIGNMENT for _, _, nbytes in items]
    assert peak <= sum(sizes)
    for step in range(20):
        assert peak >= sum(size for size, (first, last, _) in zip(sizes, items, strict=True) if first <= step <= last)


def test_a_chain_takes_two_buffers():
    items = [(s, s + 1, 640) for s in range(50)]
    assert memory.assign(items)[1] == 2 * 640


views = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(st.just(shape), *[st.tuples(st.integers(0, n - 1), st.integers(1, n)) for n in shape] * 2))


@given(views, st.permutations(range(3)))
def test_disjoint_is_never_wrong(case, axes):
    shape, *bounds = case
    whole = Operand(Buffer("arena", 4096), 3, shape, packed_strides(shape), "float32")
    a, b = (whole.slice(tuple(min(low, high) for low, high in ends), tuple(high for _, high in ends)).transpose(tuple(axes))
            for ends in (bounds[:3], bounds[3:]))

    def elements(x):
        places = {x.offset}
        for extent, stride in zip(x.shape, x.strides, strict=True):
            places = {p + i * stride for p in places for i in range(extent)}
        return places if x.size else set()
    if memory.disjoint(a, b):
        assert not elements(a) & elements(b)


def test_parts_of_a_concatenation_do_not_wait_for_each_other():
    builder = Builder()
    x, whole = builder.input((2, 4, 4, 3)), builder.temporary((2, 4, 4, 8))
    left, right = whole.slice((0, 0, 0, 0), (2, 4, 4, 5)), whole.slice((0, 0, 0, 5), (2, 4, 4, 8))
    steps = [((x,), (left,)), ((x,), (right,)), ((whole,), (x,))]
    assert memory.needs(steps) == [0, 0, 2]


def test_a_step_waits_for_readers_of_what_it_writes():
    builder = Builder()
    x, y, z = (builder.temporary((5,)) for _ in range(3))
    steps = [((), (x,)), ((x,), (y,)), ((), (x,)), ((y,), (z,))]
    assert memory.needs(steps) == [0, 1, 2, 2]


def test_barriers_and_the_window_bound_how_far_a_step_runs_ahead():
    steps = [((), (Builder().temporary((1,)),)) for _ in range(20)]
    assert memory.needs(steps, window=8) == [max(0, s - 8) for s in range(20)]
    assert memory.needs(steps, barriers=[15], window=8)[14:18] == [6, 15, 15, 15]


@st.composite
def programs(draw):
    """Steps that each read some earlier tensors and write a new one, some of these with a halo."""
    builder, tensors, steps = Builder(), [], []
    for _ in range(draw(st.integers(1, 25))):
        reads = draw(st.lists(st.sampled_from(tensors), max_size=3)) if tensors else []
        halo = draw(st.sampled_from([None, None, ((1, 1),), ((0, 2),)]))
        tensors.append(builder.temporary((draw(st.sampled_from([7, 16, 33])),), halo=halo))
        steps.append((reads, [tensors[-1]]))
    return steps


@given(programs())
def test_what_may_run_side_by_side_shares_no_memory(steps):
    """Whenever a step may start, its result lies apart from all that steps which need not be done still read or write."""
    need = memory.needs(steps)
    offsets, peak, _ = memory.layout(steps, need)

    def place(x):
        return offsets[x.buffer], offsets[x.buffer] + x.buffer.nbytes
    for s, (_, (y,)) in enumerate(steps):
        begin, end = place(y)
        assert end <= peak
        last_reader = max([r for r, (reads, _) in enumerate(steps) if any(x.buffer is y.buffer for x in reads)], default=s)
        for other in range(need[s], last_reader + 1):
            for x in (*steps[other][0], *steps[other][1]):
                low, high = place(x)
                assert x.buffer is y.buffer or end <= low or high <= begin


@given(programs())
def test_halos_lie_on_nothing_but_equal_halos(steps):
    offsets, *_ = memory.layout(steps, memory.needs(steps))
    placed = [(offsets[b], offsets[b] + b.nbytes, b) for b in offsets]
    for begin, end, buffer in placed:
        for low, high, other in placed:
            if buffer.halo is not None and buffer is not other and begin < high and low < end:
                assert other.halo == buffer.halo and low == begin


@pytest.mark.parametrize("batch", [1, 3])
def test_halos_that_are_cleared_in_each_call_give_the_same(monkeypatch, batch):
    """Memory of such buffers is shared with others: the zeros around them are written anew before each first writer."""
    gn.utils.set_random_seed(0)
    inputs = gn.Input((13, 11, 3))
    x = gn.layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = gn.layers.add([x, gn.layers.DepthwiseConv2D(5, padding="same")(x)])
    x = gn.layers.MaxPooling2D(2)(gn.layers.Conv2D(24, 3, padding="same", strides=2)(x))
    x = gn.layers.Conv2DTranspose(8, 3, padding="same", strides=2)(gn.layers.Conv2D(32, 3, padding="same")(x))
    model = gn.Model(inputs, gn.layers.Conv2D(4, 3, padding="same")(x))
    values = np.random.default_rng(batch).normal(size=(batch, 13, 11, 3)).astype("float32")
    monkeypatch.setattr(plan, "LARGE", 1 << 60)
    kept = model(values)
    model.drop_executables()
    monkeypatch.setattr(plan, "LARGE", 1)
    for _ in range(3):
        np.testing.assert_array_equal(model(values), kept)
    made = model.executable()[0].runner((values.shape,)).plan
    assert made.arena_bytes <= 1.25 * made.least_bytes


def test_many_buffers_of_one_geometry_have_a_place_whose_halo_stays_zero(monkeypatch):
    monkeypatch.setattr(plan, "LARGE", 1)
    gn.utils.set_random_seed(0)
    x = image = gn.Input((9, 10, 8))
    for _ in range(plan.MANY + 1):
        x = gn.layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    model = gn.Model(image, x)
    values = np.random.default_rng(0).normal(size=(2, 9, 10, 8)).astype("float32")
    first = model(values)
    np.testing.assert_array_equal(model(values), first)
    assert "zero_halo" not in [step.name for step in model.executable()[0].runner((values.shape,)).plan.steps]
    model.drop_executables()
    monkeypatch.setattr(plan, "MANY", 1 << 30)
    np.testing.assert_array_equal(model(values), first)
    assert "zero_halo" in [step.name for step in model.executable()[0].runner((values.shape,)).plan.steps]


def test_packed_copies_can_be_turned_off():
    """Then weights are read where they lie, or ordered within each call; results are as near the same as sums in another order."""
    gn.utils.set_random_seed(0)
    image = gn.Input((14, 14, 16))
    x = gn.layers.Conv2D(32, 3, padding="same", activation="relu")(image)
    x = gn.layers.Conv2DTranspose(8, 3, strides=2)(gn.layers.SeparableConv2D(24, 3)(x))
    x = gn.layers.GRU(12)(gn.layers.LSTM(8, return_sequences=True)(gn.layers.Reshape((-1, 200))(x)))
    model = gn.Model(image, gn.layers.Dense(33)(x))
    values = np.random.default_rng(0).normal(size=(3, 14, 14, 16)).astype("float32")
    packed = model(values)
    assert "packed weights 0 bytes" not in model.executable()[0].report((values.shape,))
    model.drop_executables()
    with gn.settings(packed=0):
        np.testing.assert_allclose(model(values), packed, rtol=1e-4, atol=1e-5)
        assert "packed weights 0 bytes" in model.executable()[0].report((values.shape,))
        for w in model.trainable_variables:
            w.assign(2 * w.value)
        doubled = model(values)
    model.drop_executables()
    np.testing.assert_allclose(doubled, model(values), rtol=1e-4, atol=1e-5)


def test_the_least_memory_is_what_lives_at_once():
    assert memory.least([]) == 0
    assert memory.least([(0, 0, 64), (1, 1, 64), (2, 2, 640)]) == 640
    assert memory.least([(0, 2, 1), (1, 3, 1), (3, 4, 1)]) == 128
