"""What tests share: the folder of real data beside the checkout, places for files, a server, and threads that end.

Hypothesis has no deadlines, as a first call loads kernels.
"""
import http.server
import pathlib
import threading

import pytest
from data_cases import workers
from hypothesis import HealthCheck, settings

import graphnet

settings.register_profile(
    "graphnet", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("graphnet")
SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of models and data beside the checkout; tests that need it are skipped where it is not."""
    if not SHARED.is_dir():
        pytest.skip("no folder ../shared beside the checkout: real models and data are not here")
    return SHARED


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """graphnet's home and Keras's, both empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with graphnet.settings(home=tmp_path / "home"):
        yield tmp_path


@pytest.fixture
def server():
    """A server on loopback: its table of paths and what it sends for them, and the paths that were asked for."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path not in table:
                self.send_error(404)
                return
            body, announced = table[self.path]
            self.send_response(200)
            if announced is not None:
                self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    table, asked = {}, []
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    running.table, running.asked, running.url = table, asked, f"http://127.0.0.1:{running.server_address[1]}"
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def no_thread_is_left_over():
    """At the end of the test no thread makes batches any more."""
    yield
    assert not workers()


def pytest_make_parametrize_id(config, val, argname):
    """Functions without a name are called after their argument, not after their address, which differs from process to process.
    """
    return argname if getattr(val, "__name__", "") == "<lambda>" else None
