"""From a sensor message to a ranking.

Four processes, as on a robot: a player that sends a picture of 1242 × 376 (1.4 MB) and a cloud of 120,000 points
(1.9 MB) at 10 Hz with the time of now, a camera encoder, a LiDAR encoder, and the retrieval node with a calibrated map
of 10,000 places. Latency is from that stamp, taken before the first byte is sent, to the ranking's arrival back in the
player. A pair is answered when a ranking is made from that very picture and that very cloud; the percentiles are of
all pairs, one that is not answered counting as never. Beside it, the same processes over Fast DDS's own default sizes
(512 kB of shared memory), as a robot runs that sets up nothing. Then the LiDAR's encoder is killed (SIGKILL) and the
drive goes on. Last, a ViT-S/16 of random weights in the camera encoder's place, 8 bits in ONNX Runtime: its vectors
mean nothing, its time is the real one's. Where it takes longer than `wait` (50 ms) beyond the LiDAR's encoder, a moment
is answered with the picture before, and the pair is not. Where there is a GPU, two such networks run there, by PyTorch
in half precision: one for pictures, one for the LiDAR's range images.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.config import AliveConfig
from any2any_ros.encoders import build
from any2any_ros.protocols import Encoder
from benchmarks.speed import _frames, _networks
from benchmarks.speed._clock import spread
from benchmarks.speed._live import PERIOD, Plan, drive
from benchmarks.speed._machine import gpu
from benchmarks.speed._outcome import Outcome, answered, complete, noticed_after
from benchmarks.speed._process import apart
from benchmarks.speed._rows import Row, unmeasured
from benchmarks.speed._section import main

BOTH = ("camera", "lidar")
OWN = "Fast DDS's own defaults"
NETWORK = "ViT-S/16 int8 as camera encoder"
ON_GPU = "two ViT-S/16 on a GPU, of pictures and range images"


def rows(quick: bool) -> Iterator[Row]:
    moments, after = (50, 35) if quick else (150, 50)
    with tempfile.TemporaryDirectory(prefix="any2any-bench-") as folder:
        plain = _map(Path(folder) / "plain", camera=build("camera"))
        ours = apart(drive, Plan(plain, BOTH, moments, killed="lidar_encoder", after=after))
        theirs = apart(drive, Plan(plain, BOTH, moments, profile="default"))
        whole = latencies(ours, moments)
        beside = latencies(theirs, moments)
        yield from _latency("weight-free encoders", whole, ("≤ 25", "≤ 50"), beside)
        yield _pairs("pairs answered", ours, whole, rival=OWN, rival_value=_share(beside),
                     short="{} of the pairs answered, with the Fast DDS profile that we ship")  # fmt: skip
        yield from _cores(ours)
        yield from _death(ours, moments)
        yield from _with_network(Path(folder), moments)
        yield from _on_gpu(Path(folder), moments)


def _with_network(folder: Path, moments: int) -> Iterator[Row]:
    lacking = _networks.lacking()
    if lacking:
        for which, bar in (("p50", "≤ 50"), ("p99", "≤ 65")):
            yield unmeasured(f"stamp to ranking, {which}: {NETWORK}", "ms", lacking, bar)
        return
    outcome = apart(drive, Plan(_map(folder / "network", camera=_networks.vision("int8")), BOTH, moments))
    found = latencies(outcome, moments)
    yield from _latency(NETWORK, found, ("≤ 50", "≤ 65"))
    yield _pairs(f"pairs answered: {NETWORK}", outcome, found)


def _on_gpu(folder: Path, moments: int, device: str = "cuda") -> Iterator[Row]:
    lacking = _networks.lacking() or ("no GPU" if device == "cuda" and not gpu() else "")
    if lacking:
        for which, bar in (("p50", "≤ 10"), ("p99", "≤ 20")):
            yield unmeasured(f"stamp to ranking, {which}: {ON_GPU}", "ms", lacking, bar)
        return
    both = _networks.vision("torch", device), _networks.range_image(device)
    outcome = apart(drive, Plan(_map(folder / "gpu", *both), BOTH, moments))
    found = latencies(outcome, moments)
    yield from _latency(ON_GPU, found, ("≤ 10", "≤ 20"))
    yield _pairs(f"pairs answered: {ON_GPU}", outcome, found)


def _map(folder: Path, camera: Encoder, lidar: Encoder | None = None) -> str:
    _frames.write_map(folder, {"camera": camera, "lidar": lidar or build("lidar")})
    return str(folder)


def latencies(outcome: Outcome, moments: int) -> list[float]:
    """Return ms from each measured moment to the ranking made from both sensors' own messages; inf where none was."""
    found = answered(outcome, complete(BOTH))
    return [found.get(stamp, float("inf")) / 1e6 for stamp in outcome.sent[:moments]]


def _latency(who: str, found: list[float], bars: tuple[str, str], beside: list[float] | None = None) -> Iterator[Row]:
    for percent, bar in zip((50, 99), bars, strict=True):
        more: dict[str, Any] = {"rival": OWN, "rival_value": _percentile(beside, percent)} if beside else {}
        around = spread(found) if percent == 50 and np.isfinite(found).all() else None
        more["short"] = f"camera's and LiDAR's stamp to a ranking of 10,000 places, p{percent}: {{}} ({who})"
        yield Row(f"stamp to ranking, p{percent}: {who}", _percentile(found, percent), "ms", around, bar=bar, **more)


def _percentile(values: list[float], percent: int) -> float:
    return float(np.percentile(values, percent, method="higher"))  # nothing lies between a time and never


def _pairs(what: str, outcome: Outcome, found: list[float], **more: Any) -> Row:
    note = f"of {len(found)}; {right(outcome, len(found))} with the frame's own place first"
    return Row(what, _share(found), "%", bar="≥ 100", note=note, **more)


def right(outcome: Outcome, moments: int) -> int:
    """Return how many of the measured moments were answered with the place of the frame that was sent."""
    first = {ranking.stamp_ns: ranking.matches[0].id for ranking, _ in outcome.answers if ranking.matches}
    expected = (_frames.place(1 + moment % _frames.SENT) for moment in range(moments))
    return sum(first.get(stamp) == name for stamp, name in zip(outcome.sent, expected, strict=False))


def _share(found: list[float]) -> float:
    return 100 * float(np.isfinite(found).mean())


def _cores(outcome: Outcome) -> Iterator[Row]:
    for name, share in outcome.cores.items():
        yield Row(f"processor of {name} at 10 Hz", 100 * share, "% of a core")


def _death(outcome: Outcome, moments: int) -> Iterator[Row]:
    """After the LiDAR's end: how soon it is noticed, and whether a moment went without a ranking."""
    timeout = AliveConfig().source_timeout
    yield Row("LiDAR encoder killed, to the first ranking by the camera alone", noticed_after(outcome, "lidar"), "s",
              bar=f"≤ {timeout + PERIOD:g}", note=f"source_timeout {timeout:g} s + one cycle",
              short="{} after a sensor's process is killed, the rest answers without it")  # fmt: skip
    found = answered(outcome, complete(["camera"]))
    skipped = [stamp for stamp in outcome.sent if stamp not in found]
    yield Row("moments without a ranking, before and after", float(len(skipped)), "", bar="≤ 0",
              note=f"of {len(outcome.sent)}, {len(outcome.sent) - moments} of them after the kill")  # fmt: skip


if __name__ == "__main__":
    main(rows, __file__)
