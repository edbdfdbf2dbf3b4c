"""The acceptance programs beside the checkout, each in a process of its own."""
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_functional_api(shared, tmp_path):
    program = shared / "acceptance" / "functional_api.py"
    done = subprocess.run([sys.executable, program, "--no-training", "--out", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_recorded_models(shared):
    models = shared / "models"
    done = subprocess.run([sys.executable, shared / "tools" / "check_models.py", models / "keras_reference", models / "real"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "20 of 20 hold" in done.stdout, done.stdout + done.stderr
