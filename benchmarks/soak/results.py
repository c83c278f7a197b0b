"""The results of a run as plain values: what results.json holds and the page shows."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.soak import judge, truth
from benchmarks.soak.campaign import Played
from benchmarks.soak.kinds import KINDS
from benchmarks.soak.ledger import Moment
from benchmarks.speed import _machine


def collect(chapters: Sequence[Played], minutes: float, seed: int) -> dict[str, Any]:
    """Return the results of a run, whole or interrupted."""
    criteria = judge.judge(chapters)
    return {
        "minutes": minutes,
        "seed": seed,
        "left": next((p.left for p in chapters if p.left), ""),
        "seconds": round(sum(p.ended - p.began for p in chapters), 1),
        "machine": _machine.describe(),
        "held": all(c.held for c in criteria),
        "criteria": [asdict(c) | {"held": c.held} for c in criteria],
        "kinds": kinds(judge.naming(chapters)),
        "faults": [_fault(n) for n in judge.naming(chapters)],
        "rankings": _rankings(chapters),
        "memory": [asdict(life) | {"clock": p.chapter.clock} for p in chapters for life in judge.lives(p)],
        "calls": [_call(p, c) for p in chapters for c in p.calls],
    }


def kinds(found: Iterable[judge.Named]) -> list[dict[str, Any]]:
    """Return one row for each kind of fault: how often it occurred, and how it was named."""
    by_kind: dict[str, list[judge.Named]] = {}
    for named in found:
        by_kind.setdefault(named.fault.kind, []).append(named)
    rows = []
    for name, those in sorted(by_kind.items(), key=lambda item: list(KINDS).index(item[0])):
        after = [n.naming.after for n in those if n.naming.after is not None]
        gone = [n.naming.gone for n in those if n.naming.gone is not None]
        said = Counter(f"{n.naming.line}: {n.naming.text}" for n in those if n.naming.after is not None)
        rows.append({
            "kind": name, "says": KINDS[name].says, "count": len(those), "wrong": sum(bool(n.wrong) for n in those),
            "after": statistics.median(after) if after else None, "latest": max(after, default=None),
            "gone": max(gone, default=None), "said": said.most_common(1)[0][0] if said else "",
        })  # fmt: skip
    return rows


def _fault(named: judge.Named) -> dict[str, Any]:
    fault = asdict(named.fault) | {"start": round(named.fault.start, 1), "end": round(named.fault.end, 1)}
    return {"clock": named.clock, **fault, **asdict(named.naming), "wrong": named.wrong}


def _rankings(chapters: Iterable[Played]) -> list[dict[str, Any]]:
    """Return one row for each excuse, and one for calm: moments, skipped, delays, and how right the answers were."""
    rows: dict[str, list[Moment]] = {"calm": [], "faults": [], truth.CHANGED: [], truth.STARVED: [], truth.KILLED: []}
    for played in chapters:
        for excuse in ("", truth.CHANGED, truth.STARVED, truth.KILLED):
            for moment in judge.moments(played, excuse):
                quiet = excuse == "" and truth.calm(played.faults, moment.at)
                rows["calm" if quiet else excuse or "faults"].append(moment)
    return [{"when": when, **_figures(those)} for when, those in rows.items() if those]


def _figures(those: list[Moment]) -> dict[str, Any]:
    answered = [m for m in those if m.delay is not None]
    delays = sorted(1000 * m.delay for m in answered if m.delay is not None)
    accepted = [m for m in answered if m.accepted]
    return {
        "moments": len(those), "skipped": len(those) - len(answered),
        "p50_ms": delays[len(delays) // 2] if delays else None,
        "p99_ms": delays[int(0.99 * len(delays))] if delays else None,
        "right": statistics.mean(m.right for m in answered) if answered else None,
        "accepted": len(accepted), "accepted_right": statistics.mean(m.right for m in accepted) if accepted else None,
    }  # fmt: skip


def _call(played: Played, call: Any) -> dict[str, Any]:
    return asdict(call) | {"at": round(call.at - played.began, 1), "clock": played.chapter.clock, "wrong": call.wrong}
