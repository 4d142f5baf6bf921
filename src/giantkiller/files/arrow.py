"""Arrow arrays by their buffers.

What pyarrow itself offers for this costs memory: `pa.array` and `to_numpy`
import pandas, where it is installed (40 MB), and kernels import pyarrow.compute (9 MB).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def numbers(array: Any, kind: Any, more: int = 0) -> NDArray[Any]:
    """Return the fixed-width values of an array, whatever stands where it is null.

    Args:
        array: An Arrow array; of a type without such values, their offsets are returned.
        kind: The type of the values, as NumPy has it.
        more: How many more values than its length to return; offsets are one more.
    """
    values, count = array.buffers()[1], len(array) + more
    return np.frombuffer(values, kind, count, array.offset * np.dtype(kind).itemsize)


def is_valid(array: Any) -> NDArray[np.bool_]:
    """Return which values of an array aren't null."""
    bitmap = array.buffers()[0]
    if bitmap is None:
        return np.ones(len(array), np.bool_)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(np.bool_)


def lengths(array: Any) -> NDArray[np.int64]:
    """Return the bytes of each value of an array of strings or binaries."""
    if not len(array):
        return np.zeros(0, np.int64)
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    return np.diff(numbers(array, np.int64 if wide else np.int32, more=1)).astype(np.int64)


def floats(values: NDArray[np.float32]) -> Any:
    """Make an array of float32 in which NaN is null."""
    values = np.ascontiguousarray(values, np.float32)
    return pa.Array.from_buffers(
        pa.float32(), len(values), [_bitmap(~np.isnan(values)), pa.py_buffer(values)]
    )


def strings(values: Sequence[str | None]) -> Any:
    """Make an array of strings in which None is null."""
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    valid = np.array([value is not None for value in values], np.bool_)
    buffers = [_bitmap(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def _bitmap(valid: NDArray[np.bool_]) -> Any:
    return pa.py_buffer(np.packbits(valid, bitorder="little"))
