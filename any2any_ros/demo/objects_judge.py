"""Judges the answers of the demo of objects: remembered boxes are compared with what stands on the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from any2any_ros.demo.objects_commands import Command
from any2any_ros.demo.objects_live import Box, Exchange, PlayedAct
from any2any_ros.ranking import Match
from any2any_ros.sim.tabletop.scene import Thing

NEAR = 0.08  # m, largest distance between the middles of a box and its thing, seen from above
# What an answer is worth to the user: it helps, it costs one more question, it sends the robot to the wrong thing.
GOOD, ASKS, BAD = "good", "asks", "bad"


def instances_of(boxes: Mapping[str, Box], things: Sequence[Thing]) -> dict[str, str]:
    """Return the instance of each remembered box, by id. A thing has at most one box; far boxes have no instance."""
    from scipy.optimize import linear_sum_assignment

    if not boxes or not things:
        return {}
    apart = np.array([[np.linalg.norm(_middle(*b)[:2] - _middle(t.low, t.high)[:2]) for t in things]
                      for b in boxes.values()])  # fmt: skip
    pairs = zip(*linear_sum_assignment(np.minimum(apart, 1.0)), strict=True)
    ids = list(boxes)
    return {ids[i]: things[j].instance for i, j in pairs if apart[i, j] <= NEAR}


def outcome(command: Command, code: str, first: str | None) -> tuple[str, str]:
    """Return what an answer is worth, and why.

    code: the action's result code. first: the instance at the top of the ranking.
    """
    right = first is not None and first in command.meant
    several, none = len(command.meant) > 1, not command.meant
    if code == "OK":
        if several and right:
            return GOOD, "one of the objects that it may mean"
        return (
            (GOOD, "the right object")
            if right
            else (BAD, "names an object, but the right one is absent" if none else "the wrong object")
        )
    if code == "AMBIGUOUS":
        if several:
            return GOOD, "rightly asks which one"
        return (
            ASKS,
            "asks which one, but the object is absent"
            if none
            else "asks; the right object comes first"
            if right
            else "asks",
        )
    if code == "NOT_FOUND":
        return (GOOD, "rightly says that it is absent") if none else (BAD, "overlooks it")
    return ASKS, {"NOT_UNDERSTOOD": "not understood: say it again", "NOTHING_HEARD": "nothing heard: say it again"}.get(
        code, "no answer"
    )


def memory(act: PlayedAct, things: Sequence[Thing]) -> dict[str, Any]:
    """Return how many things are remembered at an act's end, how many other boxes are, and how far off they are, m."""
    names = instances_of(act.boxes, things)
    by_name = {t.instance: t for t in things}
    off = [
        float(np.linalg.norm(_middle(*act.boxes[i]) - _middle(by_name[n].low, by_name[n].high)))
        for i, n in names.items()
    ]
    return {
        "things": len(things),
        "remembered": len(names),
        "missing": sorted(set(by_name) - set(names.values())),
        "phantoms": len(act.boxes) - len(names),
        "error_mean": float(np.mean(off)) if off else None,
        "error_max": max(off, default=None),
    }


def judge(exchange: Exchange, act: PlayedAct, things: Sequence[Thing]) -> dict[str, Any]:
    """Return one answer as report.json holds it."""
    # The poses of the answer itself: the memory may have changed since.
    spots = {m.id: (m.pose[:3, 3], m.pose[:3, 3]) for m in exchange.ranking.matches}
    names = instances_of(spots, things)
    matches = [_match(m, names.get(m.id), exchange.command) for m in exchange.ranking.matches]
    kind, why = outcome(exchange.command, exchange.code, matches[0]["is"] if matches else None)
    return {
        "text": exchange.command.text,
        "spoken": exchange.command.spoken,
        "heard": exchange.heard,
        "meant": list(exchange.command.meant),
        "code": exchange.code,
        "answer": exchange.answer,
        "worth": kind,
        "why": why,
        "used": list(exchange.ranking.modalities),
        "seconds": exchange.seconds,
        "matches": matches,
    }


def _match(match: Match, instance: str | None, command: Command) -> dict[str, Any]:
    right = instance in command.meant
    return {"id": match.id, "is": instance, "probability": float(match.probability), "right": right}


def report(played: Sequence[PlayedAct], things: Sequence[Thing]) -> dict[str, Any]:
    """Return all figures of the live part."""
    acts: list[dict[str, Any]] = [
        {
            "title": act.act.title, "alive": list(act.act.alive), "run": act.run, "noticed_after": act.noticed,
            "memory": memory(act, things), "look_seconds_p50": _median(act.look_seconds),
            "commands": [judge(exchange, act, things) for exchange in act.exchanges],
        }
        for act in played
    ]  # fmt: skip
    answers = [c for act in acts for c in act["commands"]]
    return {"things": [t.instance for t in things], "acts": acts, "summary": _summary(answers, len(things))}


def _summary(answers: Sequence[Mapping[str, Any]], things: int) -> dict[str, Any]:
    present = [a for a in answers if len(a["meant"]) == 1]
    accepted = [a for a in answers if a["code"] == "OK"]
    return {
        "commands": len(answers),
        "one_meant": len(present),
        "right_first": sum(bool(a["matches"]) and a["matches"][0]["right"] for a in present),
        "chance_first": 1 / things,
        "accepted": len(accepted),
        "accepted_right": sum(a["worth"] == GOOD for a in accepted),
        "good": sum(a["worth"] == GOOD for a in answers),
        "asks": sum(a["worth"] == ASKS for a in answers),
        "bad": sum(a["worth"] == BAD for a in answers),
        "words_understood": sum(a["spoken"] and a["heard"] == a["text"] for a in answers),
        "spoken": sum(a["spoken"] for a in answers),
        "typed_seconds_p50": _median([a["seconds"] for a in answers if not a["spoken"]]),
        "spoken_seconds_p50": _median([a["seconds"] for a in answers if a["spoken"]]),
    }


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None


def _middle(low: Any, high: Any) -> Any:
    return (np.asarray(low) + np.asarray(high)) / 2
