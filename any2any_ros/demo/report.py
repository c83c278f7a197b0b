"""The demo's page: one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.data.drive import Drive
from any2any_ros.demo import figures
from any2any_ros.demo.live import Answer
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.storage import write_atomically

TEMPLATE = Path(__file__).with_name("report.html.j2")
STYLE = Path(__file__).with_name("page.css")
SHOWN = 3  # matches beside each query


def write(
    path: Path,
    report: dict[str, Any],
    answers: Sequence[Answer],
    lap: Drive,
    mapped: Drive,
    reference: ReferenceMap,
    calibration_poses: np.ndarray[Any, np.dtype[np.float64]],
) -> None:
    """Write the page. report: what report.json says. lap, mapped: the drives of the queries and of the map."""
    places = {name: i for i, name in enumerate(reference.places.ids)}
    fill(
        TEMPLATE, path,
        report=report,
        route=_route(answers, lap, reference, calibration_poses, places),
        timeline=_timeline(report, answers, lap),
        reliability=figures.reliability(report["trust"]["reliability"]),
        precision=figures.precision_by_share(report["trust"]["precision_by_share"], report["trust"]["precision"]),
        stories=[_story(title, a, lap, mapped, places) for title, a in _telling(answers)],
    )  # fmt: skip


def fill(template: Path, path: Path, **values: Any) -> None:
    """Write a page that stands alone, from a template and what it shows."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template.read_text("utf-8"))
    html = page.render(style=STYLE.read_text("utf-8"), **values)
    write_atomically(path, lambda stream: stream.write(html.encode()))


def _route(
    answers: Sequence[Answer], lap: Drive, reference: ReferenceMap, calibration: Any, places: dict[str, int]
) -> str:
    found = [places[a.ranking.matches[0].id] for a in answers]
    return figures.route(
        reference.places.poses[:, :2, 3],
        calibration[:, :2, 3],
        lap.poses[[a.frame for a in answers], :2, 3],
        np.array([a.hit for a in answers]),
        reference.places.poses[found, :2, 3],
    )


def _timeline(report: dict[str, Any], answers: Sequence[Answer], lap: Drive) -> str:
    return figures.timeline(
        _seconds(answers, lap),
        np.array([a.ranking.probability for a in answers]),
        np.array([a.hit for a in answers]),
        np.array([a.ranking.accepted for a in answers]),
        {m: np.array([m in a.ranking.modalities for a in answers]) for m in lap.modalities},
        [(d["sensor"], d["from"], d["to"]) for d in report["continuity"]["deaths"]],
    )


def _seconds(answers: Sequence[Answer], lap: Drive) -> Any:
    return (lap.stamps_ns[[a.frame for a in answers]] - lap.stamps_ns[0]) / 1e9


def _telling(answers: Sequence[Answer]) -> list[tuple[str, Answer]]:
    """Choose the surest right answer, the surest wrong one, and the most ambiguous one."""
    right, wrong = [a for a in answers if a.hit], [a for a in answers if not a.hit]
    chosen = [("Best: the surest right answer", max(right, key=_sure, default=None))]
    chosen.append(("Worst: the surest wrong answer", max(wrong, key=_sure, default=None)))
    chosen.append(("Most ambiguous: the largest place set", max(answers, key=lambda a: len(a.ranking.place_set))))
    return [(title, answer) for title, answer in chosen if answer is not None]


def _sure(answer: Answer) -> float:
    return answer.ranking.probability


def _story(title: str, answer: Answer, lap: Drive, mapped: Drive, places: dict[str, int]) -> dict[str, Any]:
    ranking = answer.ranking
    return {
        "title": title,
        "sensors": ", ".join(ranking.modalities),
        "missing": ", ".join(ranking.missing),
        "probability": ranking.probability,
        "accepted": ranking.accepted,
        "place_set": len(ranking.place_set),
        "query": _view(lap, answer.frame) | {"id": lap.ids()[answer.frame]},
        "matches": [
            _view(mapped, places[m.id]) | {"id": m.id, "score": m.score, "right": bool(answer.right[i])}
            for i, m in enumerate(ranking.matches[:SHOWN])
        ],
    }


def _view(drive: Drive, i: int) -> dict[str, str]:
    """Return what a person sees of a frame: its picture as a data URL, and its caption."""
    picture = drive.sample("camera", i) if "camera" in drive.modalities else None
    caption = drive.sample("text", i) if "text" in drive.modalities else None
    return {"picture": data_url(picture), "caption": caption or ""}


def data_url(picture: Any) -> str:
    """Return a picture (H, W, 3) uint8, RGB, as the address of an image; "" for none."""
    if picture is None:
        return ""
    import cv2

    encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
