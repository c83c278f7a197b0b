"""From drives that recorded camera and LiDAR to encoders that share a space (learning/liploc.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.config import PlaceConfig, Settings, setting
from any2any_ros.data import kitti, splits
from any2any_ros.data.drive import keyframes, travelled
from any2any_ros.encoders import liploc
from any2any_ros.encoders.networks import liploc_network
from any2any_ros.encoders.networks.liploc_network import NetworkSize, View
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import liploc as method
from any2any_ros.learning.liploc import Encode, TrainingConfig
from any2any_ros.learning.liploc_pairs import Pairs, VariationConfig
from any2any_ros.progress import Progress, silent
from any2any_ros.workflows import training

BEST = "best.pth"  # as LIP-Loc's own training names it
APART = 2.0  # hit radii between training places and places held out


@dataclass(frozen=True)
class HeldOutConfig(Settings):
    """Squares of the ground that are held out of the training, to stop it."""

    held_out: float = setting(
        0.15, "share of the frames that are held out, in whole squares", minimum=0.01, maximum=0.9
    )
    square: float = setting(60.0, "width of a square", unit="m", minimum=1, maximum=1e5)


@dataclass(frozen=True)
class Drives:
    """KITTI folders that recorded camera and LiDAR.

    sequences: of each odometry folder, e.g. "00"; none: the folder itself is a drive. one_map: whether a folder's
    sequences share the frame of one map, as a simulated town's laps do and KITTI's do not.
    """

    folders: tuple[Path, ...]
    sequences: tuple[str, ...] = ()
    one_map: bool = False


@dataclass(frozen=True)
class LiplocOptions:
    """How the towers are trained.

    start: a checkpoint to begin with, LIP-Loc's own or one of an earlier training; it also sets the network's size.
    """

    place: PlaceConfig = PlaceConfig()
    start: Path | None = None
    training: TrainingConfig = TrainingConfig()
    variation: VariationConfig = VariationConfig()
    size: NetworkSize = NetworkSize()
    held_out: HeldOutConfig = HeldOutConfig()


def train_liploc(
    drives: Drives, folder: Path, options: LiplocOptions = LiplocOptions(), progress: Progress[Any] = silent
) -> dict[str, Any]:
    """Train the towers of camera and LiDAR; write best.pth, training.json and curves.png.

    Returns the content of training.json. Ctrl-C ends the training, and keeps the best towers so far. Raises
    Any2AnyError when PyTorch is absent, when nothing can be written to the folder, and when the drives are too short.
    """
    config, place = options.training, options.place
    method.torch_and_device(config)
    training.refuse_unwritable(folder)

    # Data: N moments with picture and scan, resized as the encoders do; some places only serve to stop the training.
    states, view = _initial(options.start, options.size, config.seed)
    pairs = _pairs(drives, view, place, progress)
    held = _held_out(pairs, options.held_out, config.seed)
    train, held_out = pairs.take(~held & _far(pairs, held, APART * place.hit_radius)), pairs.take(held)
    judge, chance = validation(held_out, place.hit_radius)

    # Training: the towers are validated on the held-out places every `interval` steps, until they no longer improve.
    towers = {half: liploc_network.build_tower(state) for half, state in states.items()}
    checkpoints = method.training(towers, train, place, judge, config, options.variation)
    best, curve = training.run_training(checkpoints, progress)

    # On disk: the checkpoint, and how it was made and judged.
    size = {} if options.start else vars(options.size)
    record = {
        "config": dataclasses.asdict(config) | dataclasses.asdict(options.variation) | size,
        "start": options.start and options.start.name, "view": vars(view),
        "drives": [p.name for p in drives.folders], "sequences": list(drives.sequences), "one_map": drives.one_map,
        "place": vars(place), "pairs": {"train": len(train), "held out": len(held_out)},
        "curve": training.curve_rows(curve),
        "validation": max(score for _, _, score in curve), "chance": chance,
    }  # fmt: skip
    with training.results(folder) as home:
        liploc_network.write(liploc_network.join_towers(best, view), home / BEST)
        training.write_record(home, record)
        training.write_curve(home, curve, chance, "MRR on places held out")
    return record


def _initial(start: Path | None, size: NetworkSize, seed: int) -> tuple[dict[str, liploc_network.Parameters], View]:
    """Return the parameters of both towers before the training, and the part of a sample that they see."""
    if start is None:
        return liploc_network.initial_towers(size, seed), size.view
    every = liploc_network.read(start)
    halves = {half: liploc_network.select_tower(every, half, start) for half in liploc_network.TOWERS}
    return halves, liploc_network.read_view(every, "lidar", start)


# --- pairs ----------------------------------------------------------------------------------------------------


def _pairs(drives: Drives, view: View, place: PlaceConfig, progress: Progress[Any]) -> Pairs:
    """Read the frames of all drives that have a picture, a scan and a pose."""
    read: list[Pairs] = []
    for number, folder in enumerate(drives.folders):
        for sequence in drives.sequences or [None]:
            drive = kitti.read(folder, sequence)
            drive = drive.take(keyframes(drive.poses, place.keyframe))
            which = number if drives.one_map else len(read)
            read.append(_resized(drive, view, (which, len(read)), progress))
    pairs = Pairs.joined(read)
    if len(pairs) < 2:
        raise Any2AnyError(
            "The towers cannot be trained", f"{len(pairs)} frames have a picture, a scan and a pose",
            "Give drives with both sensors and ground truth (poses/NN.txt or oxts/)",
        )  # fmt: skip
    return pairs


def _resized(drive: kitti.KittiDrive, view: View, numbers: tuple[int, int], progress: Progress[Any]) -> Pairs:
    """Return the frames of one drive that have a picture, a scan and a pose. numbers: of the map, and of the drive."""
    which_map, which_drive = numbers
    rows, pictures, ranges = [], [], []
    known = np.isfinite(drive.poses).all(axis=(1, 2))
    for i in progress(np.flatnonzero(known).tolist(), f"reading {drive.name}"):
        picture, points = drive.sample("camera", i), drive.sample("lidar", i)
        if picture is None or points is None:
            continue
        scan = liploc.grey(liploc.window(liploc.range_image(points), view))
        pictures.append(liploc.resized(picture, view))
        ranges.append(liploc.resized(scan, view)[:1])
        rows.append(i)
    empty = np.empty((0, 3, view.height, view.width), dtype=np.uint8)
    count = np.ones(len(rows), dtype=np.intp)
    return Pairs(
        np.array(pictures).reshape(-1, *empty.shape[1:]).astype(np.uint8),
        np.array(ranges).reshape(-1, 1, *empty.shape[2:]).astype(np.uint8),
        drive.poses[rows], which_map * count, which_drive * count, travelled(drive.poses)[rows], liploc.EMPTY,
    )  # fmt: skip


# --- validation -----------------------------------------------------------------------------------------------


def _held_out(pairs: Pairs, config: HeldOutConfig, seed: int) -> NDArray[np.bool_]:
    """Return (N,): which frames are held out. Squares of each map are drawn at random until the share is reached."""
    held, draw = np.zeros(len(pairs), dtype=bool), np.random.default_rng(seed)
    for one in np.unique(pairs.maps):
        rows = np.flatnonzero(pairs.maps == one)
        square = splits.squares(pairs.poses[rows], config.square)
        for s in draw.permutation(square.max() + 1):
            if held[rows].mean() < config.held_out and len(np.unique(square[~held[rows]])) > 1:
                held[rows[square == s]] = True
    if not held.any() or held.all():
        raise Any2AnyError(
            "The towers cannot be trained", f"all frames lie within one square of {config.square:g} m",
            "Give longer drives, or a smaller --square",
        )  # fmt: skip
    return held


def _far(pairs: Pairs, held: NDArray[np.bool_], distance: float) -> NDArray[np.bool_]:
    """Return (N,): which frames are at least `distance` metres away from every held-out frame of their map."""
    far = np.ones(len(pairs), dtype=bool)
    for one in np.unique(pairs.maps):
        rows = pairs.maps == one
        far[rows] = splits.apart(pairs.poses[rows], pairs.poses[rows & held], distance)
    return far


def validation(held_out: Pairs, hit_radius: float) -> tuple[Callable[[Encode], float], float]:
    """Return a function that scores towers on held-out places, and the score of chance.

    The score is the mean reciprocal rank of the first right scan for each picture, and of the first right picture for
    each scan, among the frames of the same map. Where several drives went through a map, only frames of other drives
    count.
    """
    same = held_out.maps[:, None] == held_out.maps[None, :]
    other = held_out.drives[:, None] != held_out.drives[None, :]
    right = splits.positives(held_out.poses, held_out.poses, hit_radius)
    crossed = (same & other & right).any(axis=1)
    may = same & (other | ~crossed[:, None])

    def judge(encode: Encode) -> float:
        camera, lidar = encode("camera", held_out.pictures), encode("lidar", held_out.ranges)
        return float(np.mean([_mrr(q @ r.T, right, may) for q, r in ((camera, lidar), (lidar, camera))]))

    rank = np.random.default_rng(0)  # a random ranker, whose mean of ten rankings hardly varies
    return judge, float(np.mean([_mrr(rank.random(same.shape), right, may) for _ in range(10)]))


def _mrr(similarity: NDArray[Any], right: NDArray[np.bool_], may: NDArray[np.bool_]) -> float:
    best = np.where(right & may, similarity, -np.inf).max(axis=1, keepdims=True)
    return float(np.mean(1 / (1 + ((similarity > best) & may).sum(axis=1))))
