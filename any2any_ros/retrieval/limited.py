"""A map limited to where the robot is known to be: places outside are no candidates.

Probability, acceptance and place set are those of the calibration, computed over the places that remain. The robot is
known to be in the region: then a wrong place has fewer chances to look right than when the calibration was fitted, so
that they promise rather too little. Where it is not, its place is not in the limited map; that case is calibrated as
"unmapped" (trust/confidence.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from any2any_ros.errors import Any2AnyError
from any2any_ros.localization.region import Region
from any2any_ros.retrieval.opened_map import OpenedMap
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever


def within(opened: OpenedMap, region: Region) -> OpenedMap:
    """Return the part of a map in a region, without a Bayes filter. Raises Any2AnyError when it holds no place."""
    reference = _part(opened.reference, region)
    if not len(reference):
        raise Any2AnyError(
            f"Map '{opened.reference.name}' has no place in the region",
            f"none of its {len(opened.reference)} places lies within {region.radius:g} m of {region.x:g}, {region.y:g}",
            "Check the region, or give a larger one",
        )
    adopted = {
        m: Retriever(_part(one.reference, region), one.calibration)
        for m, one in opened.adopted.items()
        if region.holds(one.reference.places.poses).any()
    }
    return OpenedMap(opened.folder, reference, Retriever(reference, opened.retriever.calibration), adopted)


def _part(reference: ReferenceMap, region: Region) -> ReferenceMap:
    rows = np.flatnonzero(region.holds(reference.places.poses))
    return replace(reference, places=reference.places.take(rows))
