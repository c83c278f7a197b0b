"""What a picture says of the robot's heading: two cameras that see the same look the same way.

A rear camera knows a street again that a front camera saw, where the robot drives it the other way. The pose of the
answer is then that of the place, turned by half a turn: the two cameras stand as one, and their mountings say where the
robot is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from any2any_ros.alignments import Pair
from any2any_ros.arrays import Float64
from any2any_ros.geometry.mountings import levelled, moved_robot
from any2any_ros.localization.planar import YAW_OF_A_CIRCLE
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.sensor_topic import COMPRESSED, RAW

PICTURES = (RAW, COMPRESSED)


@dataclass(frozen=True, eq=False)
class Views:
    """The pairs of cameras of a map that see alike only where they look alike.

    pairs: (query, reference) modalities. mountings: of the map's sensors, where they are known.
    """

    pairs: frozenset[Pair] = frozenset()
    mountings: Mapping[str, Float64] = field(default_factory=dict)

    @classmethod
    def of(cls, reference: ReferenceMap) -> Views:
        """Return those of a map: modalities of one encoder whose topics are pictures. Two modalities of one encoder
        whose topics are unknown may be pictures."""
        records, topics = reference.encoders, reference.topics
        kinds = {m: topics[m].type in PICTURES if m in topics else None for m in records}
        pairs = {
            (q, r)
            for q, r in reference.pairs
            if records[q].fingerprint == records[r].fingerprint
            and (kinds[q] or kinds[r] or (q != r and kinds[q] is kinds[r] is None))
        }
        return cls(frozenset(pairs), reference.places.mountings)

    def pose(
        self,
        place: Float64,
        probability: Float64,
        queries: Sequence[str],
        references: Sequence[str],
        mountings: Mapping[str, Float64],
    ) -> tuple[Float64, bool]:
        """Return the pose (4, 4) of a robot at a place, and whether its heading can be known.

        place (4, 4): pose of the robot that made the map. probability (Mq, Mr): that the place is right, by each pair
        of queries and references; the best pair counts. mountings: of the query's sensors, where they are known.
        """
        if not self.pairs or np.isnan(probability).all():
            return place, True
        q, r = np.unravel_index(np.nanargmax(probability), probability.shape)
        query, reference = queries[int(q)], references[int(r)]
        if (query, reference) not in self.pairs:
            return place, True
        here, there = mountings.get(query, self.mountings.get(query)), self.mountings.get(reference)
        if here is None or there is None or levelled(here) is None or levelled(there) is None:
            return place, query == reference
        return np.asarray(place @ moved_robot(there, np.eye(4), here)), True


def without_heading(covariance: Float64) -> Float64:
    """Return a covariance (3, 3) of x, y and yaw, of which the yaw is not known."""
    unknown = covariance.copy()
    unknown[2, :] = unknown[:, 2] = 0
    unknown[2, 2] = YAW_OF_A_CIRCLE
    return unknown
