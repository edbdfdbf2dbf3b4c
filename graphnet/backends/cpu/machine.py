"""The processor that machine code is for, and how such code, compiled in this process or another, comes into this one.

Code is linked by LLVM's ORC, each piece by itself, so that no names of two pieces can meet; what it calls must be there:
linking fails otherwise. numba has no part in this, and is not imported: its compiler would take a quarter of a second and
60 MB to set up.
"""
import ctypes
import functools
import itertools
import os
import threading
from typing import Any

import llvmlite.binding as llvm

PYTHON = ("PyErr_BadArgument", "PyErr_Occurred", "PyEval_RestoreThread", "PyEval_SaveThread", "PyLong_AsLongLong",
          "PyLong_FromLongLong")
METH_FASTCALL = 0x80  # self, an array of arguments, how many

_lock = threading.Lock()
_pieces = itertools.count()
_linked: list[Any] = []  # what keeps machine code in memory: as long as the process lives, since plans hold plain addresses


def processor() -> str:
    """Its name, as LLVM knows it, or NUMBA_CPU_NAME."""
    return os.environ.get("NUMBA_CPU_NAME") or str(llvm.get_host_cpu_name())


@functools.cache
def features() -> str:
    """The instructions that it has, as LLVM knows them ("+avx2,-avx512f,..."), or NUMBA_CPU_FEATURES."""
    return os.environ.get("NUMBA_CPU_FEATURES") or str(llvm.get_host_cpu_features().flatten())


def host_lanes() -> int:
    """float32 values in a vector register: 16 with AVX-512, 8 with AVX2, else 4."""
    on = set(features().split(","))
    return 16 if "+avx512f" in on else 8 if "+avx" in on else 4


def target_machine() -> Any:
    """LLVM's compiler for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=processor(), features=features(), opt=3, reloc="pic", codemodel="default")


@functools.cache
def _linker() -> Any:
    return llvm.create_lljit_compiler(target_machine(), use_jit_link=False, suppress_errors=True)


@functools.cache
def _python() -> dict[str, int]:
    """Where the functions of Python are that machine code calls; they are not always among the process's symbols."""
    return {name: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0 for name in PYTHON}


def link(code: bytes, name: str) -> int:
    """The address of a function of a piece of machine code, an object file.

    Raises RuntimeError where something that it needs is missing.
    """
    piece = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(name)
    for function, address in _python().items():
        piece.import_symbol(function, address)
    with _lock:
        linked = piece.link(_linker(), f"{name} {next(_pieces)}")
        _linked.append(linked)
    address = int(linked[name])
    if not address:
        raise RuntimeError(f"the machine code has no function {name!r}")
    return address


class _Method(ctypes.Structure):
    """Python's PyMethodDef."""

    _fields_ = (("name", ctypes.c_char_p), ("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


def python_function(address: int, name: str, doc: str) -> Any:
    """A function for Python to call, of machine code that takes what METH_FASTCALL says."""
    method = _Method(name.encode(), address, METH_FASTCALL, doc.encode())
    kind = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.POINTER(_Method), ctypes.c_void_p, ctypes.c_void_p)
    _linked.append(method)
    return kind(("PyCFunction_NewEx", ctypes.pythonapi))(ctypes.byref(method), None, None)
