"""Public names: each area lists them all, in order; each has a docstring, and an example that runs (the doctests run it)."""
import importlib
import inspect
import pkgutil
import types

import pytest

import graphnet

AREAS = ["", "activations", "applications", "callbacks", "config", "constraints", "datasets", "errors", "initializers",
         "layers", "losses",
         "metrics", "models", "ops", "ops.image", "ops.linalg", "optimizers", "random", "regularizers", "saving", "train",
         "tree", "utils"]
FAMILIES = [f"{room}.{m.name}" for room in ("layers", "ops")
            for m in pkgutil.iter_modules(importlib.import_module(f"graphnet.{room}").__path__)
            if m.ispkg or room == "ops" and m.name not in ("image", "recurrent")]  # those are areas of their own
INTERNAL = {  # functions beside the public ones, for other files of the package
    "activations": {"FUNCTIONS", "builtin"}, "constraints": {"builtin"}, "regularizers": {"ShapeError", "builtin"},
    "ops.linalg": {"MatMul"},
    "utils": {"NAMES", "set_global_seed"}}
READERS = {"load_model", "load_weights"}  # their examples need files: the README has one


def area(name):
    return importlib.import_module(f"graphnet.{name}" if name else "graphnet")


def documented(name):
    """The classes and functions of an area, each once and under its first name."""
    seen = {}
    for public in area(name).__all__:
        thing = getattr(area(name), public)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            seen.setdefault(id(thing), (public, thing))
    return list(seen.values())


THINGS = [pytest.param(name, public, thing, id=f"{name}.{public}".lstrip(".")) for name in AREAS
          for public, thing in documented(name)]


@pytest.mark.parametrize("name", AREAS)
def test_names_are_listed_once_and_in_order(name):
    listed = area(name).__all__
    assert listed == sorted(set(listed))
    assert all(hasattr(area(name), public) for public in listed)


@pytest.mark.parametrize("name", AREAS)
def test_what_keras_users_import_is_listed(name):
    """Whatever an area's first file imports from the package or defines, and does not begin with an underscore, is in its list.
    """
    module = area(name)
    if not hasattr(module, "__path__"):
        own = {n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__ and callable(v)
               and hasattr(v, "prefix")}
    else:
        own = {n for n, v in vars(module).items() if not n.startswith("_") and not isinstance(v, types.ModuleType)
               and str(getattr(v, "__module__", "")).startswith("graphnet")}
    assert own - set(module.__all__) <= INTERNAL.get(name, set())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_names_are_names_of_its_room(name):
    module = importlib.import_module(f"graphnet.{name}")
    assert set(getattr(module, "__all__", ())) <= set(area(name.split(".")[0]).__all__)


@pytest.mark.parametrize("name", ["layers", "ops"])
def test_no_other_name_is_shown(name):
    """Completion in an editor or notebook shows what users may use: no module of ours, of numpy or of typing."""
    assert sorted(dir(area(name))) == area(name).__all__


@pytest.mark.parametrize("name, public, thing", THINGS)
def test_it_says_what_it_does_by_an_example(name, public, thing):
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    assert text and text.strip(), f"{public} has no docstring"
    if name != "errors":
        assert ">>>" in text or public in READERS, f"{public} has no example"


@pytest.mark.parametrize("base", [graphnet.Model, graphnet.Functional, graphnet.Sequential, graphnet.Layer, graphnet.Variable,
                                  graphnet.KerasTensor,
                                  graphnet.Module, graphnet.initializers.Initializer], ids=lambda base: base.__name__)
def test_methods_of_the_main_classes_say_what_they_do(base):
    lacking = {name for name, member in vars(base).items()
               if inspect.isfunction(member) and not name.startswith("_") and member.__name__ != "<lambda>"
               and not inspect.getdoc(getattr(base, name))}
    assert lacking <= {"from_config"}


def test_a_layer_is_registered_under_its_public_name():
    from graphnet.registry import find_builtin
    for public in graphnet.layers.__all__:
        thing = getattr(graphnet.layers, public)
        if inspect.isclass(thing) and issubclass(thing, graphnet.Layer) and thing not in (graphnet.Layer, graphnet.Model):
            assert find_builtin("layers", public) is thing, public


def test_docstrings_are_of_the_present():
    """No docstring speaks of plans, of how things were, or of a place on someone's machine."""
    for param in THINGS:
        text = (param.values[2].__doc__ or "").lower()
        assert not any(word in text for word in ("todo", "fixme", "not yet")), param.id
