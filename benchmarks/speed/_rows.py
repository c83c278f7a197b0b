"""The rows that a section of `make bench` yields. A row knows its bar."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

BAR = re.compile(r"([≤≥]) ([\d.]+)( ×)?")
NEVER = "never"


@dataclass(frozen=True)
class Row:
    """One figure.

    value, rival_value: in `unit`; None if not measured (`note` says why), inf for an answer that never came. spread:
    the quartiles. ratio: value / rival_value, or the median of the ratios of each turn. bar: "≤ 25" or "≥ 100" for the
    value, "≤ 1.15 ×" for the ratio. short: text for the first lines of the page, in which {} stands for the figure.
    """

    what: str
    value: float | None
    unit: str
    spread: tuple[float, float] | None = None
    rival: str = ""
    rival_value: float | None = None
    ratio: float | None = None
    bar: str = ""
    note: str = ""
    short: str = ""
    section: str = ""

    def __post_init__(self) -> None:
        if self.ratio is None and self.rival_value and _is_finite(self.value) and _is_finite(self.rival_value):
            object.__setattr__(self, "ratio", float(self.value or 0) / self.rival_value)
        if self.bar and not BAR.fullmatch(self.bar):
            raise ValueError(f"'{self.bar}' is no bar: write e.g. '≤ 25', or '≤ 1.15 ×' for the ratio")

    @property
    def reached(self) -> float | None:
        """The figure as a share of its bar: at most 1 when the bar is met; None without a bar or a figure."""
        bar = BAR.fullmatch(self.bar)
        judged = None if bar is None else self.ratio if bar[3] else self.value
        if bar is None or judged is None:
            return None
        share, whole = (judged, float(bar[2])) if bar[1] == "≤" else (float(bar[2]), judged)
        return share / whole if whole else float("inf") if share else 0.0

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without a bar or a figure."""
        return None if self.reached is None else self.reached <= 1

    @property
    def more_is_better(self) -> bool:
        return self.bar.startswith("≥") or self.unit.endswith("/s")

    @property
    def share(self) -> float | None:
        """Ours as a share of the rival. Below 1 ours is better, also for figures of which more is better."""
        return 1 / self.ratio if self.ratio and self.more_is_better else self.ratio

    def plain(self) -> dict[str, Any]:
        """Return the row for JSON, which has no infinity."""
        values = asdict(self) | {"met": self.met}
        return {name: NEVER if value == float("inf") else value for name, value in values.items()}

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Row:
        known = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
        known |= {name: float("inf") for name in ("value", "rival_value", "ratio") if known.get(name) == NEVER}
        return cls(**known | {"spread": tuple(plain["spread"]) if plain.get("spread") else None})


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def unmeasured(what: str, unit: str, why: str, bar: str = "") -> Row:
    return Row(what, None, unit, bar=bar, note=f"unmeasured: {why}")


def line(row: Row) -> str:
    """Return a row as one line for a terminal."""
    value = row.note if row.value is None else f"{row.value:.4g} {row.unit}".strip()
    beside = f"; {row.rival}: {row.rival_value:.4g}" if row.rival_value is not None else ""
    beside += f" ({row.ratio:.3g} ×)" if row.ratio is not None else ""
    judged = {True: " - met", False: " - NOT met", None: ""}[row.met]
    return f"{row.section}: {row.what}: {value}{beside}" + (f" [{row.bar}{judged}]" if row.bar else "")
