"""From the functions of kernels to machine code, by numba; imported when something is compiled, by that alone.

A function becomes an object file of its own, with all that it calls. It is entered by a function of C's conventions that is
made here, so that it needs nothing of numba when it runs: of numba's own ways in, one reports exceptions, which no kernel
raises, and the other goes through numba's dispatcher.
"""
import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.codegen import AOTCodeLibrary, AOTCPUCodegen
from numba.core.compiler import Compiler, Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher, CPUTarget, cpu_target
from numba.core.typing.templates import make_intrinsic_template

from graphnet.backends.cpu import machine, typed
from graphnet.backends.cpu.llvm import declared

FLAGS: dict[str, Any] = {"error_model": "numpy", "nopython": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
POINTER, WORD = ir.IntType(8).as_pointer(), ir.IntType(64)


class Library(AOTCodeLibrary):
    """What is compiled of a function: not run here, so that the functions that it calls are not made ready to run either."""

    def get_pointer_to_function(self, name: str) -> int:
        return 0


class Codegen(AOTCPUCodegen):
    """numba's way to object files, for the very processor that `machine` speaks of."""

    _library_class = Library

    def _customize_tm_options(self, options: dict[str, Any]) -> None:
        options.update(cpu=machine.processor(), features=machine.features(), reloc="pic", codemodel="default")

    def set_env(self, env_name: str, env: Any) -> None:
        """Nothing: only code that calls Python reads it."""


class Target(CPUTarget):
    """numba's target for kernels; numba's own, which a user's functions are compiled for, stays as it is."""

    @functools.cached_property
    def _toplevel_target_context(self) -> Any:
        return cpu_target.target_context.subtarget(_internal_codegen=Codegen("graphnet"), aot_mode=True)

    @functools.cached_property
    def _toplevel_typing_context(self) -> Any:
        return cpu_target.typing_context


TARGET = Target("cpu")


class Dispatcher(CPUDispatcher):
    """numba's object of a function that kernels call."""

    targetdescr = TARGET


@functools.cache
def _dispatcher(function: Callable[..., Any]) -> Dispatcher:
    """Kept, since its type refers to it weakly."""
    return Dispatcher(function, {}, FLAGS, pipeline_class=Compiler)


def callee(function: Callable[..., Any]) -> Any:
    """numba's type of a function that kernels call."""
    return types.Dispatcher(_dispatcher(function))


def built(function: Callable[..., Any], prefer_literal: bool) -> Any:
    """numba's type of an intrinsic: `function` is given the types that there are (`typed`) before those of the arguments."""
    @functools.wraps(function)
    def definition(typingctx: Any, *args: Any) -> Any:
        return function(typed, *args)
    return types.Function(make_intrinsic_template(function, definition, function.__name__, prefer_literal=prefer_literal))


@global_compiler_lock
def object_code(function: Callable[..., Any], count: int, name: str, python: bool) -> bytes:
    """An object file with the machine code of a function of `count` integers, entered by the symbol `name`.

    Args:
        python: whether Python calls it (`machine.python_function`), and it runs without the GIL; else C does, with int64s.
    """
    flags = Flags()
    TARGET.options.parse_as_flags(flags, FLAGS)
    flags.no_compile = True  # yet: the function by which it is entered comes first
    context = TARGET.target_context
    made = compile_extra(TARGET.typing_context, context, function, (types.intp,) * count, None, flags, {})
    library, inside, result = made.library, made.fndesc, made.signature.return_type
    if result not in (types.none, types.intp):
        raise TypeError(f"{name} must give nothing or an int64; it gives {result}")
    module = context.create_module(f"entry of {name}")
    inner = ir.Function(module, context.call_conv.get_function_type(inside.restype, inside.argtypes), inside.llvm_func_name)

    def call(builder: Any, args: Any) -> Any:
        _, out = context.call_conv.call_function(builder, inner, inside.restype, inside.argtypes, args)
        return out if result == types.intp else WORD(0)

    (_python_entry if python else _plain_entry)(module, name, count, call)
    library.add_ir_module(module)
    code: bytes = library.emit_native_object()
    return code


def _plain_entry(module: Any, name: str, count: int, call: Callable[..., Any]) -> None:
    """``void name(int64, ...)``"""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD] * count), name)
    builder = ir.IRBuilder(function.append_basic_block())
    call(builder, function.args)
    builder.ret_void()


def _python_entry(module: Any, name: str, count: int, call: Callable[..., Any]) -> None:
    """``PyObject* name(PyObject* self, PyObject** args, Py_ssize_t n)``"""
    function = ir.Function(module, ir.FunctionType(POINTER, [POINTER, POINTER.as_pointer(), WORD]), name)
    builder = ir.IRBuilder(function.append_basic_block())
    null = POINTER(None)

    def python(called: str, result: Any, *args: Any) -> Any:
        return builder.call(declared(builder, called, ir.FunctionType(result, [a.type for a in args])), args)

    with builder.if_then(builder.icmp_signed("!=", function.args[2], WORD(count)), likely=False):
        python("PyErr_BadArgument", ir.IntType(32))
        builder.ret(null)
    objects = [builder.load(builder.gep(function.args[1], [WORD(i)])) for i in range(count)]
    args = [python("PyLong_AsLongLong", WORD, each) for each in objects]
    with builder.if_then(builder.icmp_unsigned("!=", python("PyErr_Occurred", POINTER), null), likely=False):
        builder.ret(null)
    state = python("PyEval_SaveThread", POINTER)
    out = call(builder, args)
    python("PyEval_RestoreThread", ir.VoidType(), state)
    builder.ret(python("PyLong_FromLongLong", POINTER, out))
