"""The page of the demo of objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.demo import objects_judge, page
from any2any_ros.demo.objects_live import Exchange, PlayedAct
from any2any_ros.objects.camera_view import CameraView, boxes_in_view
from any2any_ros.objects.proposals import Box, ProposalConfig, framed
from any2any_ros.objects.remembered_object import RememberedObject
from any2any_ros.sim.tabletop import Frame
from any2any_ros.sim.tabletop.scene import Thing

TEMPLATE = Path(__file__).with_name("objects_page.html.j2")
AROUND = 30  # px of the table's picture around the outermost boxes
RGB = NDArray[np.uint8]


def write(
    path: Path, report: dict[str, Any], played: Sequence[PlayedAct], frames: Sequence[Frame], things: Sequence[Thing],
    curve: Path,
) -> None:  # fmt: skip
    """Write the page to `path`.

    report: the content of report.json. frames: what the camera saw. curve: PNG file of the learning curve.
    """
    acts = [
        figures | {"views": _views(act, figures["commands"], frames)}
        for act, figures in zip(played, report["acts"], strict=True)
    ]
    page.write(
        TEMPLATE, path, report=report, acts=acts, curve=page.file_url(curve, "image/png"),
        tables=[_table(played[i], frames, things) for i in _first_of_runs(played)],
    )  # fmt: skip


def _first_of_runs(played: Sequence[PlayedAct]) -> list[int]:
    """Return the number of each run's first act."""
    first: dict[int, int] = {}
    for i, act in enumerate(played):
        first.setdefault(act.run, i)
    return list(first.values())


def _table(act: PlayedAct, frames: Sequence[Frame], things: Sequence[Thing]) -> dict[str, Any]:
    """Return the picture that shows the most remembered boxes, and where it shows them."""
    names = objects_judge.instances_of(act.boxes, things)
    seen = [{i: b for i in act.boxes if (b := _seen(act, i, frame))} for frame in frames]
    best = int(np.argmax([len(s) for s in seen]))
    boxes = [
        {"id": i, "is": names.get(i, ""), "x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
        for i, (x0, y0, x1, y1) in seen[best].items()
    ]
    left, top, right, bottom = _around(list(seen[best].values()), frames[best].depth.shape)
    picture = page.picture_url(_picture(act, frames[best])[top:bottom, left:right])
    return {"picture": picture, "boxes": boxes, "x": left, "y": top, "width": right - left, "height": bottom - top}


def _around(boxes: Sequence[Box], shape: tuple[int, ...]) -> Box:
    """Return the part of a picture that holds all boxes and some space around them; all of it where there are none."""
    whole = (0, 0, shape[1], shape[0])
    if not boxes:
        return whole
    low, high = np.array(boxes).min(axis=0) - AROUND, np.array(boxes).max(axis=0) + AROUND
    return max(0, int(low[0])), max(0, int(low[1])), min(whole[2], int(high[2])), min(whole[3], int(high[3]))


def _views(act: PlayedAct, answers: Sequence[dict[str, Any]], frames: Sequence[Frame]) -> list[dict[str, Any]]:
    return [_view(exchange, answer, act, frames) for exchange, answer in zip(act.exchanges, answers, strict=True)]


def _view(exchange: Exchange, answer: dict[str, Any], act: PlayedAct, frames: Sequence[Frame]) -> dict[str, Any]:
    """Return one command and its answer as the page shows them."""
    matches = [m | {"picture": _crop(act, m["id"], frames), "frame": ""} for m in answer["matches"]]
    misled = answer["worth"] == objects_judge.BAD or answer["meant"]
    for m in matches[:1] if misled else ():
        m["frame"] = "wrong"
    for m in (m for m in matches if m["right"]):
        m["frame"] = "right"
    return answer | {"matches": matches, "sound": page.file_url(exchange.sound, "audio/wav") if exchange.sound else ""}


def _crop(act: PlayedAct, id: str, frames: Sequence[Frame]) -> str:
    """Return the largest view of a remembered object as a data URL; "" where no picture shows it whole."""
    views = [(box, frame) for frame in frames if (box := _seen(act, id, frame))]
    if not views:
        return ""
    (left, top, right, bottom), frame = max(views, key=lambda view: _area(view[0]))
    left, top, right, bottom = framed((left, top, right, bottom), frame.depth.shape, ProposalConfig())
    part = replace(frame, rgb=frame.rgb[top:bottom, left:right], depth=frame.depth[top:bottom, left:right])
    return page.picture_url(_picture(act, part))


def _seen(act: PlayedAct, id: str, frame: Frame) -> Box | None:
    if id not in act.boxes:
        return None
    view = CameraView(frame.stamp_ns, frame.intrinsics, frame.pose, frame.rgb, frame.depth)
    return boxes_in_view(view, [RememberedObject(id, *act.boxes[id], seen_ns=0)], frame.depth.shape).get(id)


def _picture(act: PlayedAct, frame: Frame) -> RGB:
    """Return what the robot saw (H, W, 3): colour where that camera is alive, else depth (near is light)."""
    if "camera" in act.act.alive:
        return frame.rgb
    import cv2

    known = frame.depth[np.isfinite(frame.depth)]
    near, far = np.percentile(known, (1, 90)) if len(known) else (0.0, 1.0)
    share = (far - np.nan_to_num(frame.depth, nan=far)) / max(far - near, 1e-3)
    coloured = cv2.applyColorMap(np.round(255 * share.clip(0, 1)).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.asarray(coloured[..., ::-1], dtype=np.uint8)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
