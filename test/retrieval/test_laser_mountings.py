"""The pose of a robot whose 2-D laser sits elsewhere than that of the map."""

import mounted_drives
import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.encoders import see
from any2any_ros.geometry import clouds
from any2any_ros.geometry.upright import Upright, upright
from any2any_ros.localization import planar
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import gathered
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import Scan

BEAMS = 720
WALLS = mounted_drives.HOUSES[np.abs(mounted_drives.HOUSES[:, 2] - 0.7) < 0.1]
ORDINARY = "0.3 0 0.7 0 0 0"


def seen(base, mounting):
    """Return what a laser of a full turn sees: the nearest wall of each beam."""
    points = mounted_drives.seen(WALLS, base, mounting)
    beam = np.round((np.arctan2(points[:, 1], points[:, 0]) + np.pi) * BEAMS / (2 * np.pi)).astype(int) % BEAMS
    ranges = np.full(BEAMS, np.inf)
    np.minimum.at(ranges, beam, np.hypot(points[:, 0], points[:, 1]))
    return Scan(ranges.astype(np.float32), -np.pi, 2 * np.pi / BEAMS, 40.0)


def described(base, mounting):
    encoder = Upright(encoders.build("laser_submap"), upright(clouds.mounting(mounting)))
    return see(encoder, gathered(encoder, seen(base, mounting), 1, None))


@pytest.mark.parametrize("mounting", ["1.2 0 0.7 0 0 1.5707963", "-0.5 0.3 0.7 3.14159265 0 2"])
def test_a_laser_ahead_of_base_or_upside_down_answers_for_the_base(mounting):
    poses = mounted_drives.along(41)
    found = [described(pose, ORDINARY) for pose in poses]
    places = ObservationSet(
        {"laser_scan": np.stack([one.vector for one in found])}, poses, tuple(f"p{i}" for i in range(len(poses))),
        birds_eye={"laser_scan": np.stack([one.birds_eye for one in found])},
        mountings={"laser_scan": clouds.mounting(ORDINARY)},
    )  # fmt: skip
    record = EncoderRecord.of(encoders.build("laser_submap"))
    reference = ReferenceMap(places, {"laser_scan": record}, base_frame="base_link")
    retriever = Retriever(reference, uncalibrated(reference, 5.0))
    errors = []
    for base in mounted_drives.along(8, 0.5, 0.3, seed=4)[1:-1]:
        one = described(base, mounting)
        query = Observation(
            {"laser_scan": one.vector}, birds_eye={"laser_scan": one.birds_eye},
            mountings={"laser_scan": clouds.mounting(mounting)},
        )  # fmt: skip
        x, y, yaw = planar.between(planar.of(retriever.rank(query).matches[0].pose), planar.of(base))
        errors.append((np.hypot(x, y), np.degrees(abs(yaw))))
    metres, degrees = np.array(errors).T
    print(metres.round(3), degrees.round(2))
    assert metres.max() < 0.15 and degrees.max() < 1
