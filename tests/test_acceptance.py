"""The acceptance programs beside the checkout, each in a process of its own."""
import subprocess
import sys

import pytest


def run(*arguments):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# of some hundred runs without a seed one ended at an accuracy of 0.9492, below the 0.95 that the program asks for
SEEDED = """
import runpy, sys, graphnet
graphnet.utils.set_random_seed(1)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_functional_api(shared, tmp_path):
    assert "all held" in run("-c", SEEDED, shared / "acceptance" / "functional_api.py", "--out", tmp_path)


@pytest.mark.slow
def test_recorded_models(shared):
    models = shared / "models"
    assert "20 of 20 hold" in run(shared / "tools" / "check_models.py", models / "keras_reference", models / "real", "--train")


@pytest.mark.slow
def test_recorded_fits(shared):
    assert run(shared / "tools" / "check_fit.py").count("ok") == 2


@pytest.mark.slow
def test_modules_layers_models(shared):
    pytest.importorskip("tensorboard", reason="the guide's trace for TensorBoard is read back with the real package: pip "
                        "install tensorboard")
    assert "all held" in run(shared / "acceptance" / "modules_layers_models.py")
