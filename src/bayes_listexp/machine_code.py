"""A compiled density as a C function: between two gradients the sampler runs no Python and waits for no lock.

PyTensor's numba backend leaves a function of arrays in machine code. Called from Python, each call checks and unpacks every array of
data, and calls from several chains take turns at Python's lock, which for a small model costs more than the gradient. Compiling it
once more into a C function would take as long as compiling it did. So a small function is compiled, the same for all models of one
number of data, which calls that machine code by its address with its data laid out beforehand as numba passes arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.callconv import errcode_t, excinfo_ptr_t
from numba.extending import intrinsic
from nutpie.compile_pymc import CompiledPyMCModel

from bayes_listexp.coordinates import Axes

VECTOR = types.Array(types.float64, 1, "C")
RESULT = types.Tuple([types.Array(types.float64, 0, "C"), VECTOR])
"""What PyTensor's code of a density with gradient gives back."""

FIXED = 11
"""Words of the table before those of the data: the code's address; how many coordinates are scaled, and where their positions, centre
and root are; how many have a sign, and where their positions and units are; how many are turned, where, and by which."""


class Callback(NamedTuple):
    """The C functions ``density(dim, at, gradient, value, table)`` and ``copy(dim, dim, at, out, table)``, the ``table`` that both
    are given, and what must live as long as they are called.
    """

    density: Any
    copy: Any
    table: np.ndarray
    kept: tuple[Any, ...]


def sampled(
    code: Any, data: Sequence[np.ndarray], size: int, axes: Axes, start: Callable[[Any], np.ndarray]
) -> CompiledPyMCModel:
    """What nutpie samples: a density by its machine code as a function of ``size`` coordinates; each draw is one vector, "unconstrained".

    ``start`` gives the coordinates at which a chain begins, from its seed. Arguments else as :func:`callback` has them.
    """
    functions = callback(code, data, axes)
    return CompiledPyMCModel(
        dims={}, compiled_logp_func=functions.density, compiled_expand_func=functions.copy, initial_point_func=start,
        shared_data={}, shared_var_keys={}, user_data=functions.table, n_expanded=size,
        shape_info=(["unconstrained"], [slice(0, size)], [(size,)]), logp_func=functions, expand_func=None, _n_dim=size,
        _shapes={"unconstrained": (size,)}, _coords={},
    )  # fmt: skip


def callback(code: Any, data: Sequence[np.ndarray], axes: Axes) -> Callback:
    """C functions around ``code``, a dispatcher of numba that was called before with a vector and ``data``.

    The density is a function of the coordinates ``axes``. It gives 0, or a positive number where value or gradient are not finite.

    Raises
    ------
    RuntimeError : the code takes or gives something other than arrays as said.
    """
    compiled = _overload(code, data)
    if compiled.signature.return_type != RESULT:
        raise RuntimeError(f"the compiled density gives {compiled.signature.return_type}, not {RESULT}")
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    positions = (axes.which, axes.signs.sd, axes.signs.turned, axes.signs.by)
    which, sd, turned, by = (np.ascontiguousarray(part, dtype=np.int64) for part in positions)
    centre, root, unit = (np.ascontiguousarray(part) for part in (axes.centre, axes.root, axes.signs.unit))
    parts = [[which, centre, root], [sd, unit], [turned, by]]
    words = [word for array in data for word in _words(array)]
    fixed = [word for part in parts for word in (len(part[0]), *(array.ctypes.data for array in part))]
    return Callback(_density(len(words)), _copy(), np.array([address, *fixed, *words], dtype=np.int64), (code, tuple(data), parts))


def _overload(code: Any, data: Sequence[np.ndarray]) -> Any:
    """The compiled version for a vector and these data."""
    wanted = (VECTOR, *(numba.typeof(array) for array in data))
    for [given], compiled in ((key, value) for key, value in code.overloads.items() if len(key) == 1):
        if tuple(getattr(given, "types", ())) == wanted:
            return compiled
    raise RuntimeError(f"the density was not compiled for data of the types {wanted[1:]}")


def _words(array: np.ndarray) -> list[int]:
    """An array as numba passes it: no owner of the memory twice, number of elements, bytes of each, address, shape, strides."""
    return [0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides]


@lru_cache
def _density(words: int) -> Any:
    """The C function of a density whose data take so many words."""
    call = _call_of(words)

    def density(dim, at, gradient, value, table):  # type: ignore[no-untyped-def]
        scaled = int(table[1])
        which = numba.carray(_pointer(table[2]), (scaled,), np.int64)
        centre = numba.carray(_pointer(table[3]), (scaled,), np.float64)
        root = numba.carray(_pointer(table[4]), (scaled, scaled), np.float64)
        signs, turns = int(table[5]), int(table[8])
        sd = numba.carray(_pointer(table[6]), (signs,), np.int64)
        unit = numba.carray(_pointer(table[7]), (signs,), np.float64)
        turned = numba.carray(_pointer(table[9]), (turns,), np.int64)
        by = numba.carray(_pointer(table[10]), (turns,), np.int64)
        point = np.empty(dim)
        for i in range(dim):
            point[i] = at[i]
        for i in range(scaled):
            moved = centre[i]
            for j in range(i + 1):
                moved += root[i, j] * at[which[j]]
            point[which[i]] = moved
        jacobian = 0.0
        for i in range(signs):
            point[sd[i]] = np.log(unit[i] * abs(np.sinh(at[sd[i]])))
            jacobian -= np.log(abs(np.tanh(at[sd[i]])))
        for i in range(turns):
            if at[sd[by[i]]] < 0:
                point[turned[i]] = -point[turned[i]]
        failed, result = call(table[0], point, table)
        if failed != 0:
            return 1
        value[0] = result[0][()] + jacobian
        slope = result[1]
        for i in range(dim):
            gradient[i] = slope[i]
        for j in range(scaled):
            moved = 0.0
            for i in range(j, scaled):
                moved += root[i, j] * slope[which[i]]
            gradient[which[j]] = moved
        for i in range(signs):
            gradient[sd[i]] = (slope[sd[i]] - 1 / np.cosh(at[sd[i]]) ** 2) / np.tanh(at[sd[i]])
        for i in range(turns):
            if at[sd[by[i]]] < 0:
                gradient[turned[i]] = -gradient[turned[i]]
        for i in range(dim):
            if not np.isfinite(gradient[i]):
                return 3
        return 0 if np.isfinite(value[0]) else 4

    doubles = types.CPointer(types.float64)
    return numba.cfunc(types.int64(types.uint64, doubles, doubles, doubles, types.CPointer(types.int64)))(density)


@lru_cache
def _copy() -> Any:
    """The C function that gives back the point that it is given: what the sampler keeps of each draw."""

    def copy(dim, size, at, out, table):  # type: ignore[no-untyped-def]
        for i in range(dim):
            out[i] = at[i]
        return 0

    doubles = types.CPointer(types.float64)
    return numba.cfunc(types.int64(types.uint64, types.uint64, doubles, doubles, types.CPointer(types.int64)))(copy)


def _as_address(_typing: Any, _number: Any) -> Any:
    """A number as the address that it is."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_as_address)


def _call_of(words: int) -> Any:
    """A call of numba's code at an address with a vector and ``words`` words of a table; 0 and its result, or 1 and empty arrays."""

    @intrinsic
    def call(_typing: Any, _address: Any, _vector: Any, _table: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address, vector, table = arguments
            word = ir.IntType(64)
            given = [builder.load(builder.gep(table, [ir.Constant(word, FIXED + i)])) for i in range(words)]
            given = [*context.call_conv._get_arg_packer([VECTOR]).as_arguments(builder, [vector]), *given]
            out = context.call_conv.get_return_type(RESULT)
            kind = ir.FunctionType(errcode_t, [out, ir.PointerType(excinfo_ptr_t), *(value.type for value in given)])
            status, result = _called(context, builder, builder.inttoptr(address, kind.as_pointer()), given)
            return context.make_tuple(builder, signature.return_type, [status, result])

        return types.Tuple([types.int64, RESULT])(types.int64, VECTOR, types.CPointer(types.int64)), generate

    return call


def _called(context: Any, builder: Any, code: Any, given: list[Any]) -> tuple[Any, Any]:
    """Numba's calling convention: the result is written to where the first argument points, a status is returned."""
    place = cgutils.alloca_once(builder, context.call_conv.get_return_type(RESULT).pointee)
    failure = cgutils.alloca_once(builder, excinfo_ptr_t)
    builder.store(ir.Constant(place.type.pointee, None), place)
    status = builder.call(code, [place, failure, *given])
    result = context.get_returned_value(builder, RESULT, builder.load(place))
    failed = builder.icmp_signed("!=", status, ir.Constant(errcode_t, 0))
    return builder.zext(failed, ir.IntType(64)), builder.select(failed, ir.Constant(result.type, None), result)
