"""RemoteMonitor: sends the logs of each epoch to a server."""
import json
import warnings
from types import ModuleType
from typing import Any

from graphnet.callbacks.callback import Callback


class RemoteMonitor(Callback):
    """Posts the epoch and its logs to ``root + path`` when an epoch ends. It needs the package ``requests``.

    Arguments: ``root`` and ``path`` of the server; ``field`` of the form that holds the JSON; ``headers`` of the request;
    ``send_as_json`` True sends JSON itself instead of a form. A server that cannot be reached is a warning. Raises
    ImportError where ``requests`` is not installed.

    Source: https://keras.io/api/callbacks/remote_monitor/

    Example:

        >>> import graphnet
        >>> monitor = graphnet.callbacks.RemoteMonitor("http://localhost:9000", send_as_json=True)
        >>> monitor.root + monitor.path
        'http://localhost:9000/publish/epoch/end/'
    """

    def __init__(self, root: str = "http://localhost:9000", path: str = "/publish/epoch/end/", field: str = "data",
                 headers: dict[str, str] | None = None, send_as_json: bool = False) -> None:
        super().__init__()
        self.root, self.path, self.field, self.headers, self.send_as_json = root, path, field, headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        requests = _requests()
        numbers = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in (logs or {}).items()}
        data = {"epoch": epoch, **numbers}
        body: dict[str, Any] = {"json": data} if self.send_as_json else {"data": {self.field: json.dumps(data)}}
        try:
            requests.post(self.root + self.path, headers=self.headers, **body)
        except requests.exceptions.RequestException as error:
            warnings.warn(f"RemoteMonitor could not reach the server at {self.root}: {error}", stacklevel=2)


def _requests() -> ModuleType:
    try:
        import requests
    except ImportError as error:
        raise ImportError("RemoteMonitor needs the package requests: pip install requests") from error
    return requests
