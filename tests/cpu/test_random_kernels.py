"""Random numbers from kernels: equal bytes to the references', for odd extents and any threads; seeds advance in the plan."""
import importlib

import numpy as np
import pytest
from lowered import lowered, same

from graphnet import ops, random
from graphnet.backends.cpu.kernels.random import BLOCK
from graphnet.compiler import Executable
from graphnet.dims import Dim
from graphnet.graph import Spec
from graphnet.ops.random import RandomBits, RandomFactors, RandomNormal, RandomUniform, fractions
from graphnet.tracing import placeholder, trace_function

importlib.import_module("graphnet.backends.cpu.driver")

SHAPES = [(), (1,), (7,), (8,), (3, 17), (2, BLOCK + 5), (3 * BLOCK,)]
SEEDS = [np.array([3, 1], "uint32"), np.array([2**32 - 1, 2**31 + 5], "uint32"), np.array([2**63 + 9, 2**64 - 1], "uint64")]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed[0]}")
def test_draws(shape, seed):
    factors = [RandomFactors(shape, "float32", rate) for rate in (0.0, 0.1, 0.5, 0.999)]
    for op in (RandomBits(shape), RandomUniform(shape), RandomNormal(shape), *factors):
        same(lowered(op, seed), op.reference(seed))
        if shape:
            same(lowered(op, seed, to="padded"), op.reference(seed))


def test_other_dtypes_are_declined():
    for op in (RandomUniform((3,), "float64"), RandomUniform((3,), "float16"), RandomNormal((3,), "float64"),
               RandomFactors((3,), "float64")):
        assert lowered(op, SEEDS[0]) is None


def test_normal_numbers_are_those_of_box_and_muller():
    u, v = fractions(SEEDS[1], 20_000, "float64").reshape(-1, 2).T
    radius = np.sqrt(-2.0 * np.log1p(-u))
    exact = np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)], 1).ravel()
    found = RandomNormal((20_000,), "float64").reference(SEEDS[1])
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-14)
    same(lowered(RandomNormal((20_001,)), SEEDS[1]), RandomNormal((20_001,)).reference(SEEDS[1]))


def test_how_many_are_kept():
    kept = RandomFactors((100_000,), "float32", 0.3).reference(SEEDS[0]) > 0
    assert abs(kept.mean() - 0.7) < 5 * (0.7 * 0.3 / kept.size) ** 0.5  # five standard deviations


def test_dropout_and_its_seed_run_in_kernels_alone():
    source = random.SeedGenerator(5)
    first = source.state.value.copy()
    graph, _ = trace_function(lambda x: random.dropout(x, 0.25, seed=source), [placeholder(Spec((Dim.unknown("batch"), 40)))])
    run = Executable(graph)
    x = np.random.default_rng(0).random((33, 40), "float32") + 1
    for count in range(3):
        y = run([x])[0]
        factors = RandomFactors(x.shape, "float32", 0.25).reference(first + np.uint32([0, count]))
        np.testing.assert_allclose(y, x * factors, rtol=1e-6)
    np.testing.assert_array_equal(source.state.value, first + np.uint32([0, 3]))
    assert not run.runner((x.shape,)).plan.python_steps


def test_whole_numbers_drawn_in_a_graph():
    graph, _ = trace_function(lambda x: ops.add(random.randint((7, 9), 3, 8, "int32", seed=4), ops.cast(x, "int32")),
                              [placeholder(Spec((9,)))])
    found = Executable(graph)([np.zeros(9, "float32")])[0]
    np.testing.assert_array_equal(found, random.randint((7, 9), 3, 8, "int32", seed=4))
