"""Writes docs/town.md from the results of benchmarks/town_order.py and from notes.md beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from order.compare import FAR, REVERSES, STRETCH, Pair, Recalls, pairs, rank_correlation

NOTES = Path(__file__).with_name("notes.md")
TITLES = {"lidar": "LiDAR", "camera": "Camera"}
PLACES = ("reality", "town")
SIMULATED = {"town": "towns", "season": "default towns"}  # key of the results -> heading
HEAD = """# Does the town rank as reality does?

<!-- Written by `python benchmarks/town_order.py DATA`; edit that file, and benchmarks/order/notes.md. -->

    {command}

wrote this page on {date} in {minutes:.0f} minutes: {cpu}, Python {python}, one thread. The real data is not part of \
this project; [real.md](real.md) names its licences.

The [simulated town](design.md) stands in for what cannot be recorded, so it must prefer the methods that reality \
prefers. Here simple descriptors without weights answer the same question in both: which reference shows the place of \
a query? All are a few lines (`benchmarks/order/lidar.py`, `benchmarks/order/camera.py`), and none was chosen or \
changed for these figures.

*R@1*: share of queries whose first answer is right, with the 95 % interval of a bootstrap over stretches of {stretch} \
queries; the mean of the sets, each of which counts the same. Reality *separates* two descriptors when their R@1 \
differ by more than {far:.0f} points and the interval of the difference leaves zero out. The towns then *agree*, \
*reverse* the order (the whole interval is on the other side of zero), or *cannot tell*. A pair is *disputed* when one \
real set says the opposite of the others' mean, by more than {far:.0f} points: no town could please both.
"""
LIDAR = """
KITTI is there only as bird's-eye images: points per cell, without heights, the road left out. The clouds of the \
towns are made into images by the same rule (`image_counts` in `benchmarks/real_sets/kitti_bev.py`, which gives \
KITTI's own images for KITTI's own scans), so both give a descriptor the same. Descriptors that need heights cannot \
be compared with reality here.

KITTI comes back to a street minutes later. So do these **towns**: `{again}`. Beside them are the **default** towns, \
whose second lap is in another season, with rain, other parked cars, and vans and people close to the robot; there is \
no real drive of that kind here to judge them by.
"""
CAMERA = """
SPED and Nordland show places in another season, as default towns do; Gardens Point was walked twice on one day, as \
every third town here is driven (the settings are those of the LiDAR). Streets that the second lap drives in the \
opposite direction are left out, since no picture set has any, and pictures are made 96 pixels wide, since those of \
the sets are 64 to 100.
"""
HEIGHTS = """
The same towns, but clouds **with their heights**, which robots have and these images of KITTI do not (R@1, mean of \
the towns): {figures}. In the default towns: {season}. There is no reality to compare these with.
"""


def write(results: Mapping[str, Any], what: Mapping[str, Mapping[str, str]]) -> str:
    """Return the text of the page. what: of each sensor, each descriptor in one line."""
    machine = results["machine"]
    head = HEAD.format(command=results["command"], minutes=results["seconds"] / 60, stretch=STRETCH, far=100 * FAR,
                       **machine)  # fmt: skip
    sections = [_section(sensor, found, what[sensor], results["again"]) for sensor, found in results["sensors"].items()]
    return "\n".join([head, _summary(results), *sections, NOTES.read_text("utf-8")])


def all_pairs(results: Mapping[str, Any]) -> list[Pair]:
    """Return the pairs of all sensors that reality separates, with what the towns say."""
    return [pair for found in results["sensors"].values() for pair in pairs(*(_recalls(found, k) for k in PLACES))]


def _recalls(found: Mapping[str, Any], key: str) -> Recalls:
    return Recalls.of([one["hits"] for one in found[key]])


def _simulated(found: Mapping[str, Any]) -> list[str]:
    """Return the keys of the simulated drives of a sensor."""
    return [key for key in SIMULATED if key in found]


def _summary(results: Mapping[str, Any]) -> str:
    lines = ["| sensor | descriptors | separated pairs | agree | cannot tell | reversed | disputed | Kendall's tau |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for sensor, found in results["sensors"].items():
        for key in _simulated(found):
            both = _recalls(found, "reality"), _recalls(found, key)
            compared = pairs(*both)
            sure = [pair for pair in compared if not pair.disputed]
            count = [sum(pair.verdict == verdict for pair in sure) for verdict in ("agrees", "cannot tell", "reverses")]
            name = TITLES[sensor] + (f", {SIMULATED[key]}" if len(_simulated(found)) > 1 else "")
            cells = (name, len(both[0].names), len(compared), *count, len(compared) - len(sure))
            lines.append(f"| {' | '.join(map(str, cells))} | {rank_correlation(*both):.2f} |")
    return "\n".join([*lines, ""])


def _section(sensor: str, found: Mapping[str, Any], what: Mapping[str, str], again: str) -> str:
    simulated = {key: _recalls(found, key) for key in _simulated(found)}
    reality = _recalls(found, "reality")
    lines = [f"## {TITLES[sensor]}", LIDAR.format(again=again) if sensor == "lidar" else CAMERA, _sets(found), "",
             _table(found, reality, simulated, what), "", "Pairs that reality separates, in points of R@1:", "",
             _pairs(reality, simulated)]  # fmt: skip
    if sensor == "lidar":
        tall = {key: _listed(_recalls(found, key)) for key in ("heights", "season_heights")}
        lines.append(HEIGHTS.format(figures=tall["heights"], season=tall["season_heights"]))
    return "\n".join([*lines, ""])


def _listed(recalls: Recalls) -> str:
    return ", ".join(f"{name} {_share(recalls.recall(name))}" for name in recalls.names)


def _sets(found: Mapping[str, Any]) -> str:
    """Return a list of the sets, with their sizes and chance."""
    said = [f"{one['name']} ({one['queries']} queries, {one['references']} references, chance {_share(one['chance'])})"
            for one in (*found["reality"], *found["town"])]  # fmt: skip
    return "Sets: " + "; ".join(said) + "."


def _table(
    found: Mapping[str, Any], reality: Recalls, simulated: Mapping[str, Recalls], what: Mapping[str, str]
) -> str:
    """Return R@1 of each descriptor in every set, best in reality first."""
    real_names = [one["name"] for one in found["reality"]]
    heads = ["descriptor", *real_names, "**reality**"]
    for key in simulated:
        heads += [f"**{SIMULATED[key]}**", "each"]
    lines = [f"| {' | '.join([*heads, ''])} |", "|---|" + "---:|" * (len(heads) - 1) + "---|"]
    for name in sorted(reality.names, key=reality.recall, reverse=True):
        cells = [name, *_each(reality, name), _with_interval(reality, name)]
        for recalls in simulated.values():
            cells += [_with_interval(recalls, name), " ".join(_each(recalls, name))]
        lines.append(f"| {' | '.join([*cells, what.get(name, '')])} |")
    chance = [one["chance"] for one in found["reality"]]
    cells = ["*chance*", *map(_share, chance), _share(float(np.mean(chance)))]
    for key in simulated:
        cells += [_share(float(np.mean([one["chance"] for one in found[key]]))), ""]
    return "\n".join([*lines, f"| {' | '.join(cells)} | |"])


def _each(recalls: Recalls, name: str) -> list[str]:
    return [_share(value) for value in recalls.sets[recalls.names.index(name)]]


def _pairs(reality: Recalls, simulated: Mapping[str, Recalls]) -> str:
    heads = [f"{SIMULATED[key]} | verdict" for key in simulated]
    lines = [
        f"| better in reality | worse | reality | {' | '.join(heads)} |",
        "|---|---|---:|" + "---:|---|" * len(heads),
    ]
    for same in zip(*(pairs(reality, recalls) for recalls in simulated.values()), strict=True):
        said = " | ".join(f"{_points(pair.town)} | {_verdict(pair)}" for pair in same)
        lines.append(f"| {same[0].better} | {same[0].worse} | {_points(same[0].reality)} | {said} |")
    return "\n".join(lines)


def _verdict(pair: Pair) -> str:
    said = f"**{pair.verdict}**" if pair.verdict == REVERSES else pair.verdict
    return f"{said} (disputed)" if pair.disputed else said


def _with_interval(recalls: Recalls, name: str) -> str:
    low, high = recalls.interval(name)
    return f"{_share(recalls.recall(name))} ({_share(low)}–{_share(high)})"


def _points(difference: tuple[float, float, float]) -> str:
    """Return a difference of R@1 in points, with its interval."""
    mean, low, high = (100 * value for value in difference)
    return f"{mean:+.0f} ({low:+.0f} to {high:+.0f})"


def _share(value: float) -> str:
    """Return a share with three places and no zero before the point."""
    text = f"{value:.3f}"
    return text.removeprefix("0") if value < 1 else text
