"""Bags of a robot that drives along houses with a LiDAR mounted somewhere on it, described by /tf and /tf_static."""

import numpy as np
from bag_files import STORE, written
from pose_messages import TF, transforms
from scipy.spatial.transform import Rotation

from any2any_ros.data import bag_messages
from any2any_ros.data.sources import open_recording
from any2any_ros.geometry import clouds
from any2any_ros.workflows.build_map import write_map
from any2any_ros.workflows.calibrate import calibrate

NS = 10**9
CLOUD = "sensor_msgs/msg/PointCloud2"
LENGTH, SIGHT = 160.0, 40.0  # m of the street, and of the LiDAR's reach
ORDINARY = "0.3 0 1.6 0 0 0"


def houses(seed=0, length=LENGTH):
    """Return points (N, 3) of walls, each 0.3 to 6 m high, on both sides of a street along x."""
    draw, parts = np.random.default_rng(seed), []
    for x in np.arange(-40, length + 40, 4.0):
        for side in (-1, 1):
            at, size, height = draw.uniform((x - 2, 5, 2), (x + 2, 20, 6)), draw.uniform(1, 6, 2), draw.uniform(2, 6)
            u, z = np.meshgrid(np.linspace(0, 1, 25), np.arange(0.3, height, 0.4))
            along = np.column_stack([at[0] + size[0] * u.ravel(), np.full(u.size, side * at[1]), z.ravel()])
            across = np.column_stack([np.full(u.size, at[0]), side * (at[1] + size[1] * u.ravel()), z.ravel()])
            parts += [along, across]
    return np.concatenate(parts)


HOUSES = houses()


def seen(world, base, mounting, seed=0):
    """Return points (N, 4) that a LiDAR sees, in its frame. base (4, 4): pose of the robot. mounting: as text."""
    sensor = base @ clouds.mounting(mounting)
    points = (world - sensor[:3, 3]) @ sensor[:3, :3]
    points = points[np.linalg.norm(points, axis=1) < SIGHT]
    points = points + np.random.default_rng(seed).normal(0, 0.02, points.shape)
    return np.column_stack([points, np.zeros(len(points))]).astype(np.float32)


def along(count, left=0.0, wiggle=0.0, seed=0, length=LENGTH):
    """Return poses (N, 4, 4) of a robot that drives along the street. left: m. wiggle: rad, deviation of headings."""
    draw = np.random.default_rng(seed)
    return np.array(
        [clouds.mounting(f"{x} {left} 0 0 0 {draw.normal(0, wiggle)}") for x in np.linspace(0, length, count)]
    )


def edge(parent, child, pose):
    """Return a level pose (4, 4) as `transforms` takes it."""
    return parent, child, tuple(pose[:3, 3]), float(np.arctan2(pose[1, 0], pose[0, 0]))


def mountings(stamp, *edges):
    """Return a TFMessage of (parent, child, mounting as text), which may lean."""
    message = transforms(stamp, *(edge(parent, child, clouds.mounting(text)) for parent, child, text in edges))
    for sent, (_, _, text) in zip(message.transforms, edges, strict=True):
        quaternion = Rotation.from_matrix(clouds.mounting(text)[:3, :3]).as_quat()
        sent.transform.rotation = STORE.types["geometry_msgs/msg/Quaternion"](*map(float, quaternion))
    return message


def cloud(world, base, mounting, stamp, frame="lidar"):
    """Return a PointCloud2 of a LiDAR."""
    points = seen(world, base, mounting, stamp)
    return bag_messages.cloud_message(STORE, points, bag_messages.header(STORE, stamp, frame))


def bag(path, world, poses, mounting=ORDINARY, says_mounting=True):
    """Write a bag: /lidar/points, map -> base_link in /tf, and base_link -> lidar in /tf_static. Return its path."""
    stamps = [(i + 1) * NS for i in range(len(poses))]
    points = [(t, cloud(world, pose, mounting, t)) for t, pose in zip(stamps, poses, strict=True)]
    moving = [(t, transforms(t, edge("map", "base_link", pose))) for t, pose in zip(stamps, poses, strict=True)]
    static = [(NS, mountings(0, ("base_link", "lidar", mounting), ("base_link", "base_footprint", "0 0 0 0 0 0")))]
    topics = [("/lidar/points", CLOUD, points), ("/tf", TF, moving)]
    return written(path, *topics, *([("/tf_static", TF, static)] if says_mounting else []))


def street_map(folder):
    """Write a calibrated map of HOUSES, from bags of a robot whose LiDAR is mounted as usual. Return its folder."""
    made, other = bag(folder / "made", HOUSES, along(81)), bag(folder / "other", HOUSES, along(120, 1.5, 0.2, seed=1))
    write_map(open_recording(made, pose_topic="/tf:map.base_link"), folder / "map")
    calibrate(folder / "map", open_recording(other, pose_topic="/tf:map.base_link"))
    return folder / "map"
