"""OpenBLAS through ctypes: the library itself, or the copy that another program has loaded."""

import ctypes
import ctypes.util
import os

ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE = 101, 111, 112
PLACES = ("libopenblas.so.0", "libopenblas.so", "/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0",
          "/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.so.0")


def loaded_blas():
    """The path of the BLAS library that this process has loaded, or None."""
    paths = []
    try:
        with open("/proc/self/maps", encoding="utf-8") as file:
            paths = [line.split()[-1] for line in file if "blas" in line and ".so" in line]
    except OSError:
        pass
    return next((path for path in paths if is_openblas(path)), paths[0] if paths else None)


def is_openblas(path):
    """By the file's name: others of the same folder are the interfaces through which it is called."""
    return "openblas" in os.path.basename(path or "")


def load(path=None):
    """OpenBLAS as a ctypes library; OSError where there is none."""
    found = ctypes.util.find_library("openblas")
    for place in [path] if path else [found, *PLACES] if found else PLACES:
        try:
            library = ctypes.CDLL(place)
            library.openblas_get_config.restype = ctypes.c_char_p
            return library
        except (OSError, AttributeError):
            continue
    raise OSError(f"{path} is not OpenBLAS" if path else "OpenBLAS is not installed (Debian: libopenblas0-pthread)")


def set_threads_of_loaded(threads):
    """Of an OpenBLAS that a program loaded: its own setting does not always reach it."""
    path = loaded_blas()
    if is_openblas(path):
        ctypes.CDLL(path).openblas_set_num_threads(threads)
