"""The text that the documentation of all networks shares."""
from collections.abc import Callable
from typing import Any

_ARGUMENTS = """{summary}

    Arguments:{first} ``include_top`` (with the classifier), ``weights`` (None: random; "imagenet": the file of
    Keras's store, from ``~/.keras/models`` or graphnet's ``settings.home / "models"``; or the path of a file),
    ``input_tensor`` (to build upon), ``input_shape`` (without the batch axis), ``pooling`` (without the top: None,
    "avg" or "max"), ``classes``, ``classifier_activation`` (None gives logits), ``name``.{more}
    Shapes: images (N, H, W, 3), preprocessed by ``{module}.preprocess_input``, -> (N, classes); without the top the
    features. Raises ValueError where arguments do not fit each other, FileNotFoundError, with the way to mend it,
    where the trained weights are not there.
    Source: {source}

    Example:

        >>> import graphnet
        >>> graphnet.applications.{name}(weights=None, include_top=False, pooling="avg").output_shape
        {result}
    """


def documented(summary: str, source: str, result: tuple[int | None, ...], first: str = "", more: str = "") -> Callable[[Any],
                                                                                                                       Any]:
    """Decorator: the documentation of a network's function."""
    def document(function: Any) -> Any:
        module = function.__module__.removeprefix("graphnet.applications.")
        function.__doc__ = _ARGUMENTS.format(summary=summary, source=source, result=result, first=first, more=more,
                                             module=module, name=function.__name__)
        return function
    return document
