"""What the examples share: their arguments, and finding the data.

A folder of data is given by --data; by default it is ``shared/data`` beside the repository. MNIST and CIFAR-10 are looked for by
``graphnet.datasets`` otherwise (its own cache, Keras's, a download). Where there are none, an example says so and ends well.
"""
import argparse
import pathlib
from typing import Any, NoReturn

import graphnet

DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"


def parse(description: str | None) -> argparse.Namespace:
    """The command line: --data, --out, --quick. Makes the folder for results."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=DATA, help="folder with mnist/, cifar10/ and text/ (../shared/data)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results"), help="folder for what is written (results)")
    parser.add_argument("--quick", action="store_true", help="one short epoch, to see that it runs; the results are worth nothing")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    return arguments


def skip(missing: object) -> NoReturn:
    """Ends an example that has no data."""
    print(f"skipped for want of data; --data names a folder that has them. {missing}")
    raise SystemExit(0)


def mnist(folder: pathlib.Path) -> Any:
    """MNIST: ((x_train, y_train), (x_test, y_test)), the images as numbers from 0 to 1 of shape (28, 28, 1)."""
    file = folder / "mnist" / "mnist.npz"
    try:
        (x, y), (x_test, y_test) = graphnet.datasets.mnist.load_data(file if file.is_file() else "mnist.npz")
    except FileNotFoundError as error:
        skip(error)
    return tuple((images[..., None].astype("float32") / 255, labels) for images, labels in ((x, y), (x_test, y_test)))


def text(folder: pathlib.Path, name: str) -> pathlib.Path:
    """A file of the folder text/."""
    file = folder / "text" / name
    if not file.is_file():
        skip(f"There is no {file}.")
    return file
