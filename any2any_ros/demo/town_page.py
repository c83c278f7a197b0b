"""The page of the demo of place recognition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.data.drive import Drive
from any2any_ros.demo import figures, page
from any2any_ros.demo.town_answers import Answer
from any2any_ros.demo.town_laps import Laps
from any2any_ros.retrieval.reference_map import ReferenceMap

TEMPLATE = Path(__file__).with_name("town_page.html.j2")
SHOWN = 3  # matches beside each query


def write(path: Path, report: dict[str, Any], answers: Sequence[Answer], laps: Laps, reference: ReferenceMap) -> None:
    """Write the page to `path`. report: the content of report.json."""
    places = {name: i for i, name in enumerate(reference.places.ids)}
    page.write(
        TEMPLATE, path,
        report=report,
        route=_route(answers, laps, reference, places),
        timeline=_timeline(report, answers, laps.test),
        reliability=figures.reliability(report["trust"]["reliability"]),
        precision=figures.precision_by_share(report["trust"]["precision_by_share"], report["trust"]["precision"]),
        stories=[_story(title, a, laps, places) for title, a in _examples(answers)],
    )  # fmt: skip


def _route(answers: Sequence[Answer], laps: Laps, reference: ReferenceMap, places: dict[str, int]) -> str:
    answered = [places[a.ranking.matches[0].id] for a in answers]
    return figures.route(
        reference.places.poses[:, :2, 3],
        laps.calibration.poses[:, :2, 3],
        laps.test.poses[[a.frame for a in answers], :2, 3],
        np.array([a.hit for a in answers]),
        reference.places.poses[answered, :2, 3],
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


def _examples(answers: Sequence[Answer]) -> list[tuple[str, Answer]]:
    """Choose the surest right answer, the surest wrong one, and the most ambiguous one."""
    right, wrong = [a for a in answers if a.hit], [a for a in answers if not a.hit]
    examples = [("Best: the surest right answer", max(right, key=_sure, default=None))]
    examples.append(("Worst: the surest wrong answer", max(wrong, key=_sure, default=None)))
    examples.append(("Most ambiguous: the largest place set", max(answers, key=lambda a: len(a.ranking.place_set))))
    return [(title, answer) for title, answer in examples if answer is not None]


def _sure(answer: Answer) -> float:
    return answer.ranking.probability


def _story(title: str, answer: Answer, laps: Laps, places: dict[str, int]) -> dict[str, Any]:
    ranking = answer.ranking
    return {
        "title": title,
        "sensors": ", ".join(ranking.modalities),
        "missing": ", ".join(ranking.missing),
        "probability": ranking.probability,
        "accepted": ranking.accepted,
        "place_set": len(ranking.place_set),
        "query": _view(laps.test, answer.frame) | {"id": laps.test.ids()[answer.frame]},
        "matches": [
            _view(laps.mapped, places[m.id]) | {"id": m.id, "score": m.score, "right": bool(answer.right[i])}
            for i, m in enumerate(ranking.matches[:SHOWN])
        ],
    }


def _view(drive: Drive, i: int) -> dict[str, str]:
    """Return what a person sees of a frame: its picture as a data URL, and its caption."""
    picture = drive.sample("camera", i) if "camera" in drive.modalities else None
    caption = drive.sample("text", i) if "text" in drive.modalities else None
    return {"picture": page.picture_url(picture), "caption": caption or ""}
