"""Bags of a robot with a front and a rear camera in a street whose every place looks unlike all others, both ways."""

import cv2
import numpy as np
from bag_files import STORE, written
from mounted_drives import edge, mountings
from pose_messages import TF, transforms

from any2any_ros.data import bag_messages
from any2any_ros.data.sources import open_recording
from any2any_ros.geometry import clouds
from any2any_ros.workflows.build_map import write_map
from any2any_ros.workflows.calibrate import calibrate

NS = 10**9
IMAGE = "sensor_msgs/msg/Image"
PLACES, SPACING = 60, 6.0  # m
# Optical frames: z forward, y down.
MOUNTINGS = {
    "camera_front": "0.4 0 1.2 -1.5707963 0 -1.5707963",
    "camera_rear": "-0.2 0 1.0 -1.5707963 0 1.5707963",
}
TOPICS = {m: f"/{m.removeprefix('camera_')}/image_raw" for m in MOUNTINGS}


def picture(place, way, noise):
    """Return the view (H, W, 3) from a place along the street (way 1), or against it (-1)."""
    own = np.random.default_rng([place, way + 1])
    coarse = own.integers(0, 255, (6, 16, 3), dtype=np.uint8)
    seen = cv2.resize(coarse, (160, 64), interpolation=cv2.INTER_NEAREST).astype(np.float64)
    return np.clip(seen + np.random.default_rng(noise).normal(0, 20, seen.shape), 0, 255).astype(np.uint8)


def base_at(place, way, left=0.0):
    """Return the pose (4, 4) of a robot that drives along the street, or against it."""
    return clouds.mounting(f"{SPACING * place} {left} 0 0 0 {0 if way == 1 else np.pi}")


def image(modality, place, way, stamp):
    """Return what a camera of the robot sees. way: of the robot."""
    looks = way if modality == "camera_front" else -way
    header = bag_messages.header(STORE, stamp, f"{modality}_optical")
    return bag_messages.image_message(STORE, picture(place, looks, stamp), header)


def static(stamp=0):
    """Return where the cameras are mounted, as a message of /tf_static."""
    return mountings(stamp, *(("base_link", f"{m}_optical", text) for m, text in MOUNTINGS.items()))


def bag(path, drive, says_mounting=True, begin=1):
    """Write a bag. drive: (place, way) of each second from `begin`."""
    content, moving = {m: [] for m in MOUNTINGS}, []
    for second, (place, way) in enumerate(drive, begin):
        stamp = second * NS
        moving.append((stamp, transforms(stamp, edge("map", "base_link", base_at(place, way, 0.3 * way)))))
        for m, messages in content.items():
            messages.append((stamp, image(m, place, way, stamp)))
    topics = [(TOPICS[m], IMAGE, messages) for m, messages in content.items()]
    fixed = [("/tf_static", TF, [(begin * NS, static())])] if says_mounting else []
    return written(path, *topics, ("/tf", TF, moving), *fixed)


def there_and_back(first, last):
    """Return the drive from one place to another, and back."""
    return [(i, 1) for i in range(first, last)] + [(i, -1) for i in range(last - 1, first - 1, -1)]


def opened(path):
    return open_recording(path, topics=TOPICS, pose_topic="/tf:map.base_link")


def street_map(folder, says_mounting=True):
    """Write a map of the street, driven one way, and calibrate it on a drive there and back. Return its folder."""
    write_map(opened(bag(folder / "made", [(i, 1) for i in range(PLACES)], says_mounting)), folder / "map")
    calibrate(folder / "map", opened(bag(folder / "other", there_and_back(0, 45), says_mounting, 1000)))
    return folder / "map"
