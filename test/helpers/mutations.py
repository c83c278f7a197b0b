"""Damaged variants of stored files: of JSON values, of arrays, of bytes. Each has a name that says what was done.

A variant is of one of two kinds. WRONG contradicts the format or another part of it: the file is refused, or it answers
as before. OTHER may also be a whole file with another content.
"""

import copy
import io
import json
import zipfile

import numpy as np

WRONG, OTHER = "wrong", "other"
LONG = "x" * 1_000_000
NUMBERS = {
    WRONG: [None, "text", [], {}, True, float("nan"), float("inf"), 1e308, 10**400, [1.0]],
    OTHER: [-1, 0, 1, 2.5, 10**18],
}
TEXTS = {WRONG: [None, 7, [], {}, True, LONG, "a\nb", "\ud800", "a\0", ["a"]], OTHER: ["other", "camera", ""]}
FLAGS = {WRONG: [None, "yes", 1, [], {}], OTHER: [True, False]}
GROUPS = {WRONG: [None, 7, "text", True], OTHER: [[], {}]}


def of_json(content):
    """Yield (name, kind, content) of a JSON value with one part dropped, of another type, or another value."""
    for path, value in parts(content):
        name = "/".join(map(str, path))
        if path:
            yield f"drop {name}", WRONG, without(content, path)
        table = values_for(value)
        for kind, others in table.items():
            for other in others:
                if other != value or type(other) is not type(value):
                    yield f"{name} = {str(other)[:20]!r}", kind, replaced(content, path, other)
        if isinstance(value, list) and value:
            yield f"{name} repeats its last", WRONG, replaced(content, path, [*value, value[-1]])
        if isinstance(value, dict):
            yield f"{name} has one more", WRONG, replaced(content, path, {**value, "other": 7})


def values_for(value):
    if isinstance(value, bool):
        return FLAGS
    return NUMBERS if isinstance(value, int | float) else TEXTS if isinstance(value, str) else GROUPS


def parts(content, path=()):
    """Yield the path and the value of every part of a JSON value, the whole first; of a long list, its first parts."""
    yield path, content
    inside = content if isinstance(content, dict) else dict(enumerate(content[:3] if isinstance(content, list) else ()))
    for key, value in inside.items():
        yield from parts(value, (*path, key))


def replaced(content, path, value):
    if not path:
        return value
    changed = copy.deepcopy(content)
    owner = changed
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = value
    return changed


def without(content, path):
    changed = copy.deepcopy(content)
    owner = changed
    for key in path[:-1]:
        owner = owner[key]
    del owner[path[-1]]
    return changed


def of_arrays(arrays, any_length, unbounded):
    """Yield (name, kind, arrays) of named arrays with one array dropped, of another type or shape, or other values.

    any_length: names of arrays whose length no other part tells. unbounded: names of those that may hold infinity. Of
    the names of a dict's arrays, such as weights/camera, the first part counts.
    """
    for name, array in arrays.items():
        rest = {n: a for n, a in arrays.items() if n != name}
        yield f"drop {name}", WRONG, rest
        yield f"rename {name}", WRONG, rest | {f"{name}x": array}
        stem = name.split("/")[0]
        for what, kind, other in of_array(array, OTHER if stem in any_length else WRONG, stem in unbounded):
            yield f"{name} {what}", kind, rest | {name: other}
    yield "one more array", WRONG, arrays | {"other": np.zeros(3)}


def of_array(array, length, unbounded):
    for dtype in ("f8", "f4", "f2", "i8", "u1", "?", "c16", "U3", "S3", "M8[s]", ">f8", ">f4", ">i8"):
        if np.dtype(dtype) != array.dtype and not (array.dtype.kind == "U" and dtype != "S3"):
            with np.errstate(all="ignore"):
                yield f"as {dtype}", WRONG, array.astype(dtype)
    yield "with one more axis", WRONG, array[None]
    if array.ndim:
        yield "cut by a row", length, array[:-1]
        yield "cut to nothing", length, array[:0]
        yield "with its last row again", length, np.concatenate([array, array[-1:]])
    if array.ndim > 1:
        yield "transposed", WRONG if array.shape != array.T.shape else OTHER, np.ascontiguousarray(array.T)
        yield "with its last column again", length, np.concatenate([array, array[..., -1:]], axis=-1)
        yield "flat", WRONG, array.ravel()
    if array.size and array.dtype.kind == "f":
        largest = 1e300 if array.dtype == np.float64 else 1e30
        for what, value in (("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf), ("huge", largest)):
            yield f"with {what}", OTHER if unbounded and "inf" in what else WRONG, changed(array, value)
        yield "all nan", WRONG, np.full_like(array, np.nan)
    if array.size and array.dtype.kind in "fi":
        for what, other in (("negative", -array), ("of zeros", np.zeros_like(array)), ("times 100", 100 * array)):
            yield what, OTHER, other
        yield "reversed", OTHER, array[::-1].copy() if array.ndim else array
    if array.size and array.dtype.kind == "U":
        yield "with a long text", WRONG, changed(array.astype("U2000"), "x" * 2000)
        yield "with a line break", WRONG, changed(array.astype("U9"), "a\nb")
        yield "with a text twice", OTHER, changed(array, array.flat[-1])


def changed(array, value):
    """Return the array with another first value."""
    other = array.copy()
    other.flat[0] = value
    return other


def of_bytes(data, draw):
    """Yield (name, kind, data) of a file that was cut, or had bytes added or changed."""
    for share in (0, 0.3, 0.9):
        yield f"cut to {share:.0%}", WRONG, data[: int(share * len(data))]
    yield "reversed", WRONG, data[::-1]
    yield "with bytes after its end", OTHER, data + b"\0" * 64
    for at in draw.integers(len(data), size=4).tolist():
        yield f"with another byte at {at}", OTHER, data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def packed(members):
    """Return the bytes of an .npz file. members: arrays, and bytes of other files, by name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, member in members.items():
            if isinstance(member, bytes):
                archive.writestr(name, member)
            else:
                with archive.open(f"{name}.npy", "w") as out:
                    np.lib.format.write_array(out, np.asanyarray(member), allow_pickle=False)
    return stream.getvalue()


def packed_with(arrays, name, content):
    """Return the bytes of an .npz file of arrays and a JSON value."""
    return packed(arrays | {name: dumped(content)})


def unpacked(data):
    """Return the members of an .npz file, as `packed` takes them."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def dumped(content):
    return json.dumps(content).encode()
