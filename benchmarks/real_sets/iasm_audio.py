"""A robot's microphone at stops among loudspeakers in real rooms (I-ASM, Fu et al., IROS 2024)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from any2any_ros import reading
from any2any_ros.data import splits, wav
from any2any_ros.data.sources import IN_BUILDINGS, DriveSource
from any2any_ros.errors import explained
from real_sets.real_set import Frames, Options, RealSet, answerable, refuse_empty, unreadable

KIND = "iasm_audio"
LAYOUT = "a folder with audio/*.wav and poses.csv (columns file, x_m, y_m, theta_deg)"
LICENCE = "none stated (SUSTech2022/Acoustic-Scene-Mapping)"
HIT, GAP = 0.5, 8  # m, stops
PROTOCOL = f"a hit is within {HIT:g} m and more than {GAP} stops away, earlier or later; other stops are left out"


def find(folder: Path) -> list[Path]:
    """Return the folder if it has sounds with poses."""
    return [folder] if (folder / "audio").is_dir() and (folder / "poses.csv").is_file() else []


def name(path: Path) -> str:
    """Return the name of the arrangement."""
    return path.name


def read(path: Path, options: Options = Options()) -> RealSet:
    """Read an arrangement. Raises Any2AnyError when a file is missing or damaged."""
    with explained(f"Cannot read {path / 'poses.csv'}", f"The layout is: {LAYOUT}"):
        lines = list(csv.DictReader(io.StringIO(reading.text(path / "poses.csv"))))
        files = [path / "audio" / line["file"] for line in lines]
        x_y_turn = np.array([[line[k] for k in ("x_m", "y_m", "theta_deg")] for line in lines], dtype=np.float64)
    if absent := [f.name for f in files if not f.is_file()]:
        raise unreadable(path, f"audio/ has no {absent[0]}", LAYOUT)
    poses = np.tile(np.eye(4), (len(files), 1, 1))
    turn = np.radians(x_y_turn[:, 2])
    poses[:, 0, 0] = poses[:, 1, 1] = np.cos(turn)
    poses[:, 1, 0], poses[:, 0, 1] = np.sin(turn), -np.sin(turn)
    poses[:, :2, 3] = x_y_turn[:, :2]
    number = np.arange(len(files))
    allowed = np.abs(number[:, None] - number) > GAP
    queries, right, allowed = answerable(splits.positives(poses, poses, HIT), allowed, number)
    refuse_empty(queries, path, "the robot comes back to no stop")
    frames = Frames(path.name, poses, {"audio": lambda i: wav.read(files[i])}, number)
    recording = DriveSource(frames, IN_BUILDINGS)
    return RealSet(KIND, path.name, LICENCE, PROTOCOL, recording, queries, number, right, allowed)
