"""A front and a rear camera, each on its topic: real nodes over DDS, a map of a bag driven one way."""

import numpy as np
import pytest
import two_cameras
from bag_files import STORE
from geometry_msgs.msg import PoseWithCovarianceStamped
from pose_messages import TF
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage
from two_cameras import NS, TOPICS

from any2any_ros import metrics, msg
from any2any_ros.localization import planar
from any2any_ros.nodes import messages, topology
from any2any_ros.nodes.encoder_node import EncoderNode
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.nodes.sensor_odometry import LATCHED
from any2any_ros.retrieval import reference_map

BEGIN = 1_700_000_000
ASKED = range(58, 46, -1)  # places that the calibration has not seen


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A map that knows where both cameras were mounted."""
    return two_cameras.street_map(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def unknown(tmp_path_factory):
    """The same map of bags without /tf_static."""
    return two_cameras.street_map(tmp_path_factory.mktemp("unknown"), says_mounting=False)


class Robot:
    """A robot with both cameras, each with the encoder that the topology gives it."""

    def __init__(self, bench, folder):
        self.bench = bench
        for process in topology.place_recognition(str(folder)):
            if process.executable == "encoder_node":
                parameters = {name.replace(".", "__"): value for name, value in process.parameters.items()}
                bench.node(EncoderNode, **parameters)
        self.node = bench.node(RetrievalNode, map=str(folder), wait=0.3)
        self.rankings = bench.listen(msg.Ranking, "matches")
        self.places = bench.listen(PoseWithCovarianceStamped, "place")
        self.cameras = {m: bench.publisher(Image, topic) for m, topic in TOPICS.items()}

    def tell_static(self):
        publisher = self.bench.publisher(TFMessage, "/tf_static", LATCHED)
        publisher.publish(STORE.serialize_cdr(two_cameras.static(), TF).tobytes())
        self.bench.until(lambda: "camera_rear_optical" in self.node._mountings._buffer.frames)

    def look(self, place, way, second, alive):
        """Return the answer at a place, by some cameras."""
        stamp, count = (BEGIN + second) * NS, len(self.rankings)
        for m in alive:
            message = two_cameras.image(m, place, way, stamp)
            self.cameras[m].publish(STORE.serialize_cdr(message, two_cameras.IMAGE).tobytes())
        self.bench.until(lambda: len(self.rankings) > count and self.rankings[-1].header.stamp.sec == BEGIN + second)
        assert set(self.rankings[-1].modalities) <= set(alive)
        return self.rankings[-1]

    def back(self, alive):
        """Drive back; return the answers."""
        return [self.look(place, -1, i, alive) for i, place in enumerate(ASKED)]


def errors(poses):
    """Return the distances in m, and the angles in degrees, of pose messages from the true poses on the way back."""
    true = [planar.of(two_cameras.base_at(place, -1)) for place in ASKED]
    apart = [planar.between(planar.of(messages.pose_array(p)), t) for p, t in zip(poses, true, strict=True)]
    return np.array([(np.hypot(x, y), np.degrees(abs(yaw))) for x, y, yaw in apart]).T


def test_a_rear_camera_recognises_a_street_driven_the_other_way(bench, known):
    robot = Robot(bench, known)
    robot.tell_static()
    answers = robot.back(["camera_rear"])
    right = [a.matches[0].id == f"made/{place:06d}" for a, place in zip(answers, ASKED, strict=True)]
    chance = metrics.chance([1] * len(right), [two_cameras.PLACES] * len(right), 1)
    print(f"\nrecall@1 {np.mean(right):.2f}, chance {chance:.3f}, accepted {sum(a.accepted for a in answers)}")
    assert all(right) and all(a.accepted for a in answers) and chance < 0.02
    bench.until(lambda: len(robot.places) == len(answers))
    metres, degrees = errors([p.pose.pose for p in robot.places])
    print(f"place: {metres.max():.2f} m, {degrees.max():.2f} degrees at most")
    assert metres.max() < 1.5 and degrees.max() < 1  # the heading of the place, turned by half a turn
    assert all(p.pose.covariance[35] < 0.1 for p in robot.places)
    ahead = robot.look(50, 1, len(ASKED), ["camera_rear"])  # it knows itself again, too
    assert ahead.matches[0].id == "made/000050"
    assert abs(planar.of(messages.pose_array(ahead.matches[0].pose))[2]) < np.radians(1)
    for i in (1, 2):  # the first moment does not wait for a camera that was off
        both = robot.look(50, -1, len(ASKED) + i, ["camera_front", "camera_rear"])
    assert both.modalities == ["camera_front", "camera_rear"]
    assert both.accepted and both.matches[0].id == "made/000050"


def test_without_mountings_no_heading_is_claimed(bench, unknown):
    robot = Robot(bench, unknown)
    answers = robot.back(["camera_rear"])
    bench.until(lambda: len(robot.places) == sum(a.accepted for a in answers) > 0)
    assert all(p.pose.covariance[35] == pytest.approx(planar.YAW_OF_A_CIRCLE) for p in robot.places)


def test_the_map_names_both_cameras_with_one_encoder_and_their_topics(known):
    reference = reference_map.load(known)
    front, rear = (reference.encoders[m] for m in TOPICS)
    assert front.plug == rear.plug == "camera" and front.fingerprint == rear.fingerprint
    assert set(reference.pairs) == {(q, r) for q in TOPICS for r in TOPICS}
    front, rear, _ = topology.place_recognition(str(known))
    assert (front.name, front.parameters["topic"]) == ("camera_front_encoder", "front/image_raw")
    assert (rear.name, rear.parameters["topic"]) == ("camera_rear_encoder", "rear/image_raw")
