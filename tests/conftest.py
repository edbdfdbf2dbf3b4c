"""What all tests share: the folder of real data beside the checkout, and hypothesis without deadlines (a first call loads kernels)."""
import pathlib

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("graphnet", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.load_profile("graphnet")
SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of models and data beside the checkout; tests that need it are skipped where it is not."""
    if not SHARED.is_dir():
        pytest.skip("no folder ../shared beside the checkout: real models and data are not here")
    return SHARED


def pytest_make_parametrize_id(config, val, argname):
    """Functions without a name are called after their argument, not after their address, which differs from process to process."""
    return argname if getattr(val, "__name__", "") == "<lambda>" else None
