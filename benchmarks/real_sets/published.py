"""Figures of others on the same data by the same protocol, as they were published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """R@1 of a method, and where that is written."""

    method: str
    recall: float
    source: str


BEVPLACE = "Luo et al., BEVPlace, ICCV 2023"
MEGALOC = "for scale: full-size pictures, other splits of the set, trained networks; Berton and Masone, MegaLoc, 2025"
SEQUENCES = ("00", "02", "05", "06")
ON_KITTI = {  # R@1 on SEQUENCES, %
    "PointNetVLAD": (91.6, 62.3, 76.9, 77.8),
    "LPD-Net": (95.7, 72.3, 83.6, 82.2),
    "MinkLoc3D-V2": (95.9, 72.3, 86.4, 80.4),
    "OverlapTransformer (invariant to heading)": (96.7, 80.1, 91.9, 95.6),
    "BEVPlace (invariant to heading, trained on KITTI)": (99.7, 98.1, 99.3, 100.0),
}
OTHERS = {
    ("vpr", "sped"): (Published("MegaLoc, SALAD and the like", 0.92, MEGALOC),),
    ("nordland", "winter_summer"): (Published("MegaLoc, SALAD and the like", 0.90, MEGALOC),),
}


def of(kind: str, name: str) -> tuple[Published, ...]:
    """Return what is published for a set; nothing for an unknown one."""
    if kind == "kitti_bev" and name in SEQUENCES:
        column = SEQUENCES.index(name)
        return tuple(Published(method, row[column] / 100, BEVPLACE) for method, row in ON_KITTI.items())
    return OTHERS.get((kind, name), ())
