"""From a sensor message to a ranking.

Four processes, as on a robot: a player, a camera encoder, a LiDAR encoder, and the retrieval node with a calibrated map
of 10,000 places. The player sends a picture of 1242 × 376 (1.4 MB) and a cloud of 120,000 points (1.9 MB) at 10 Hz,
with the present time as stamp. Latency is the time from this stamp, taken before the first byte is sent, until the
ranking is back in the player. A pair is answered when a ranking was made from this picture and this cloud. Percentiles
are over all pairs; a pair that is not answered counts as "never".

The LiDAR's bird's-eye image is aligned with those of the best places. What this adds is the difference to a map without
images, in runs that take turns.

It is compared with the same processes and the default sizes of Fast DDS (512 kB of shared memory), which a robot has
that configures nothing. Then the LiDAR encoder is killed (SIGKILL), and the drive goes on. Last, a ViT-S/16 of random
weights replaces the camera encoder, with 8 bits in ONNX Runtime: its vectors mean nothing, but its time is realistic.
If it takes more than `wait` (50 ms) longer than the LiDAR encoder, a moment is answered with the picture before, and
the pair does not count as answered. On a GPU, two such networks run in PyTorch in half precision: one for pictures, one
for range images of the LiDAR.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.config import AliveConfig
from any2any_ros.encoders import build, default
from any2any_ros.geometry.alignment import AlignmentConfig
from any2any_ros.protocols import Encoder
from benchmarks.speed import _frames, _networks
from benchmarks.speed._clock import spread
from benchmarks.speed._live import PERIOD, Plan, drive
from benchmarks.speed._machine import gpu
from benchmarks.speed._outcome import Outcome, answered, complete, noticed_after
from benchmarks.speed._process import apart
from benchmarks.speed._rows import Row, unmeasured
from benchmarks.speed._section import main

TURNS = 4  # runs with images, and as many without
BOTH = ("camera", "lidar")
DEFAULT_SIZES = "default sizes of Fast DDS"
NETWORK = "ViT-S/16 int8 as camera encoder"
ON_GPU = "two ViT-S/16 on a GPU, of pictures and range images"


def rows(quick: bool) -> Iterator[Row]:
    moments, after = (50, 35) if quick else (150, 50)
    with tempfile.TemporaryDirectory(prefix="any2any-bench-") as folder:
        plain = _map(Path(folder) / "plain")
        ours = apart(drive, Plan(plain, BOTH, moments, killed="lidar_encoder", after=after))
        theirs = apart(drive, Plan(plain, BOTH, moments, profile="default"))
        whole = latencies(ours, moments)
        beside = latencies(theirs, moments)
        yield from _latency("weight-free encoders", whole, ("≤ 25", "≤ 50"), beside)
        yield _pairs("pairs answered", ours, whole, rival=DEFAULT_SIZES, rival_value=_share(beside),
                     short="{} of the pairs answered, with our Fast DDS profile")  # fmt: skip
        yield from _cores(ours)
        yield from _death(ours, moments)
        yield from _alignment(Path(folder), moments)
        yield from _with_network(Path(folder), moments)
        yield from _on_gpu(Path(folder), moments)


def _alignment(folder: Path, moments: int) -> Iterator[Row]:
    """Yield what the alignment of bird's-eye images adds."""
    maps = {
        with_images: _map(folder / f"images-{with_images}", with_images=with_images) for with_images in (True, False)
    }
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(TURNS):
        for with_images in (True, False) if turn % 2 else (False, True):
            plan = Plan(maps[with_images], BOTH, moments // 2)
            times[with_images] += latencies(apart(drive, plan), moments // 2)
    for percent, bar in ((50, "≤ 10"), (99, "≤ 15")):
        aligned, bare = (_percentile(times[with_images], percent) for with_images in (True, False))
        note = f"{aligned:.1f} ms with images and {bare:.1f} ms without, of {len(times[True])} pairs each"
        yield Row(f"added by the alignment of {AlignmentConfig.candidates} images, p{percent}", aligned - bare, "ms",
                  bar=bar, note=note)  # fmt: skip


def _with_network(folder: Path, moments: int) -> Iterator[Row]:
    lacking = _networks.lacking()
    if lacking:
        for which, bar in (("p50", "≤ 50"), ("p99", "≤ 65")):
            yield unmeasured(f"stamp to ranking, {which}: {NETWORK}", "ms", lacking, bar)
        return
    outcome = apart(drive, Plan(_map(folder / "network", camera=_networks.vision("int8")), BOTH, moments))
    times = latencies(outcome, moments)
    yield from _latency(NETWORK, times, ("≤ 50", "≤ 65"))
    yield _pairs(f"pairs answered: {NETWORK}", outcome, times)


def _on_gpu(folder: Path, moments: int, device: str = "cuda") -> Iterator[Row]:
    lacking = _networks.lacking() or ("no GPU" if device == "cuda" and not gpu() else "")
    if lacking:
        for which, bar in (("p50", "≤ 10"), ("p99", "≤ 20")):
            yield unmeasured(f"stamp to ranking, {which}: {ON_GPU}", "ms", lacking, bar)
        return
    both = _networks.vision("torch", device), _networks.range_image(device)
    outcome = apart(drive, Plan(_map(folder / "gpu", *both), BOTH, moments))
    times = latencies(outcome, moments)
    yield from _latency(ON_GPU, times, ("≤ 10", "≤ 20"))
    yield _pairs(f"pairs answered: {ON_GPU}", outcome, times)


def _map(folder: Path, camera: Encoder | None = None, lidar: Encoder | None = None, with_images: bool = True) -> str:
    encoders = {"camera": camera or build(default("camera")), "lidar": lidar or build(default("lidar"))}
    _frames.write_map(folder, encoders, with_images)
    return str(folder)


def latencies(outcome: Outcome, moments: int) -> list[float]:
    """Return for each measured moment the ms until the ranking from both its messages; inf where there was none."""
    delays = answered(outcome, complete(BOTH))
    return [delays.get(stamp, float("inf")) / 1e6 for stamp in outcome.sent[:moments]]


def _latency(who: str, times: list[float], bars: tuple[str, str], beside: list[float] | None = None) -> Iterator[Row]:
    for percent, bar in zip((50, 99), bars, strict=True):
        more: dict[str, Any] = {"rival": DEFAULT_SIZES, "rival_value": _percentile(beside, percent)} if beside else {}
        around = spread(times) if percent == 50 and np.isfinite(times).all() else None
        more["short"] = f"from the stamp of camera and LiDAR to a ranking of 10,000 places, p{percent}: {{}} ({who})"
        yield Row(f"stamp to ranking, p{percent}: {who}", _percentile(times, percent), "ms", around, bar=bar, **more)


def _percentile(values: list[float], percent: int) -> float:
    return float(
        np.percentile(values, percent, method="higher")
    )  # between a time and "never" there is nothing to interpolate


def _pairs(what: str, outcome: Outcome, times: list[float], **more: Any) -> Row:
    note = f"of {len(times)}; in {right(outcome, len(times))} the right place comes first"
    return Row(what, _share(times), "%", bar="≥ 100", note=note, **more)


def right(outcome: Outcome, moments: int) -> int:
    """Return how many of the measured moments were answered with the right place first."""
    first = {ranking.stamp_ns: ranking.matches[0].id for ranking, _ in outcome.answers if ranking.matches}
    expected = (_frames.place(1 + moment % _frames.SENT) for moment in range(moments))
    return sum(first.get(stamp) == name for stamp, name in zip(outcome.sent, expected, strict=False))


def _share(times: list[float]) -> float:
    return 100 * float(np.isfinite(times).mean())


def _cores(outcome: Outcome) -> Iterator[Row]:
    for name, share in outcome.cores.items():
        yield Row(f"processor of {name} at 10 Hz", 100 * share, "% of a core")


def _death(outcome: Outcome, moments: int) -> Iterator[Row]:
    """Yield the rows of the LiDAR encoder's death: how soon it is noticed, and moments without a ranking."""
    timeout = AliveConfig().source_timeout
    yield Row("LiDAR encoder killed, to the first ranking by the camera alone", noticed_after(outcome, "lidar"), "s",
              bar=f"≤ {timeout + PERIOD:g}", note=f"source_timeout {timeout:g} s + one cycle",
              short="{} after the process of a sensor is killed, answers come without it")  # fmt: skip
    delays = answered(outcome, complete(["camera"]))
    skipped = [stamp for stamp in outcome.sent if stamp not in delays]
    yield Row("moments without a ranking, before and after", float(len(skipped)), "", bar="≤ 0",
              note=f"of {len(outcome.sent)}, {len(outcome.sent) - moments} of them after the kill")  # fmt: skip


if __name__ == "__main__":
    main(rows, __file__)
