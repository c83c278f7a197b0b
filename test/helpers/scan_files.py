"""Single scans in files that are no recordings, as PointCloud2: PCD, PLY, and the scans of NCLT and KITTI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import cdr, samples

CODES = {dtype: code for code, dtype in samples.POINT_TYPES.items()}
PCD_TYPES = {"F": "f", "U": "u", "I": "i"}


def as_message(file: Path) -> Any:
    """Return the scan in a file as a PointCloud2 that was written and read again."""
    points = READERS[file.suffix](file) if file.parent.name != "nclt" else _nclt(file)
    make, dtype = cdr.typestore().types, points.dtype
    fields = [
        make["sensor_msgs/msg/PointField"](name, dtype.fields[name][1], CODES[dtype[name].str[1:]], 1)
        for name in dtype.names
    ]
    header = make["std_msgs/msg/Header"](make["builtin_interfaces/msg/Time"](1, 0), file.stem)
    message = make["sensor_msgs/msg/PointCloud2"](
        header, 1, len(points), fields, False, dtype.itemsize, points.nbytes, points.view(np.uint8).ravel(), True
    )
    kind = message.__msgtype__
    return cdr.read(bytes(cdr.typestore().serialize_cdr(message, kind)), kind)


def _pcd(file: Path) -> np.ndarray:
    head, data = file.read_bytes().split(b"DATA ", 1)
    lines = {line.split()[0]: line.split()[1:] for line in head.decode().splitlines() if line}
    types = [f"<{PCD_TYPES[t]}{size}" for t, size in zip(lines["TYPE"], lines["SIZE"], strict=True)]
    dtype = np.dtype(list(zip(lines["FIELDS"], types, strict=True)))
    form, values = data.split(b"\n", 1)
    if form == b"ascii":
        return np.loadtxt(values.decode().splitlines(), dtype=dtype)
    return np.frombuffer(values, dtype, int(lines["POINTS"][0]))


def _ply(file: Path) -> np.ndarray:
    head, values = file.read_bytes().split(b"end_header\n", 1)
    lines = [line.split() for line in head.decode().splitlines()]
    count = next(int(words[2]) for words in lines if words[:2] == ["element", "vertex"])
    dtype = np.dtype([(words[2], "<f4") for words in lines if words[:2] == ["property", "float"]])
    return np.frombuffer(values, dtype, count)


def _kitti(file: Path) -> np.ndarray:
    return np.fromfile(file, np.dtype([(name, "<f4") for name in ("x", "y", "z", "intensity")]))


def _nclt(file: Path) -> np.ndarray:
    """Return a scan in steps of 5 mm, with z down."""
    raw = np.fromfile(file, np.dtype([(n, "<u2") for n in "xyz"] + [("intensity", "u1"), ("laser", "u1")]))
    points = np.zeros(len(raw), np.dtype([(name, "<f4") for name in ("x", "y", "z", "intensity")]))
    for name, sign in (("x", 1), ("y", -1), ("z", -1)):
        points[name] = sign * (raw[name] * 0.005 - 100)
    points["intensity"] = raw["intensity"]
    return points


READERS = {".pcd": _pcd, ".ply": _ply, ".bin": _kitti}
