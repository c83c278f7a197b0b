"""Settings of the simulated tabletop: which objects, how they are seen, what is said of them."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.config import Settings, setting


@dataclass(frozen=True)
class CameraConfig(Settings):
    """An RGB-D camera, its depth registered to its colour."""

    width: int = setting(640, "of the picture", unit="px", minimum=32, maximum=4096)
    height: int = setting(480, "of the picture", unit="px", minimum=32, maximum=4096)
    focal: float = setting(525.0, "focal length", unit="px", minimum=10, maximum=10000)
    image_noise: float = setting(0.012, "of the colours, one sigma of full scale", minimum=0, maximum=0.5)
    depth_noise: float = setting(1.0, "of the depth, against a Kinect's (0.0012 + 0.0019 (z - 0.4)² m)", minimum=0,
                                 maximum=10)  # fmt: skip
    holes: float = setting(0.04, "share of depth pixels lost for no reason", minimum=0, maximum=1)

    @property
    def matrix(self) -> tuple[tuple[float, float, float], ...]:
        """Intrinsics (3, 3): pixels from metres in the optical frame."""
        return (
            (self.focal, 0.0, (self.width - 1) / 2),
            (0.0, self.focal, (self.height - 1) / 2),
            (0.0, 0.0, 1.0),
        )


@dataclass(frozen=True)
class TabletopConfig(Settings):
    """A folder of objects, each seen alone on a table from many sides, described in writing and aloud."""

    seed: int = setting(0, "another seed is another set of objects", minimum=0, maximum=2**31 - 1)
    classes: int = setting(20, "kinds of things, the first of the catalogue", minimum=1, maximum=20)
    instances: int = setting(4, "objects of each class", minimum=1, maximum=50)
    views: int = setting(8, "pictures of each object", minimum=1, maximum=1000)
    descriptions: int = setting(5, "written by different people of each picture", minimum=0, maximum=12)
    utterances: int = setting(2, "spoken by different people about each picture", minimum=0, maximum=12)
    slips: float = setting(0.05, "share of words that name something similar instead", minimum=0, maximum=1)
    nearest: float = setting(0.55, "closest distance of the camera", unit="m", minimum=0.4, maximum=5)
    farthest: float = setting(1.3, "farthest distance of the camera", unit="m", minimum=0.4, maximum=5)
    margin: float = setting(0.18, "of table around the object in its crop, of its size", minimum=0, maximum=2)
    focal: float = setting(525.0, "focal length of the 640x480 camera", unit="px", minimum=20, maximum=5000)


@dataclass(frozen=True)
class SceneConfig(Settings):
    """A table with several of those objects, as a camera sees it that passes by."""

    objects: int = setting(8, "standing on the table", minimum=1, maximum=16)
    frames: int = setting(24, "pictures along the way", minimum=1, maximum=10000)
    rate: float = setting(5.0, "of the camera", unit="Hz", minimum=0.1, maximum=100)
    sweep: float = setting(110.0, "angle around the table that the way covers", unit="deg", minimum=0, maximum=360)
    distance: float = setting(1.25, "of the camera from the middle of the table, on the ground", unit="m", minimum=0.7,
                              maximum=5)  # fmt: skip
