"""Settings of the simulated tabletop: which objects, how they are seen, how they are described."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.config import Settings, setting


@dataclass(frozen=True)
class CameraConfig(Settings):
    """An RGB-D camera whose depth and colour pictures show the same pixels."""

    width: int = setting(640, "width of the picture", unit="px", minimum=32, maximum=4096)
    height: int = setting(480, "height of the picture", unit="px", minimum=32, maximum=4096)
    focal: float = setting(525.0, "focal length", unit="px", minimum=10, maximum=10000)
    image_noise: float = setting(
        0.012, "noise of the colours, one sigma, as a share of full scale", minimum=0, maximum=0.5
    )
    depth_noise: float = setting(
        1.0, "noise of the depth, 1 = as a Kinect (0.0012 + 0.0019 (z - 0.4)² m)", minimum=0, maximum=10
    )
    holes: float = setting(0.04, "share of depth pixels that are lost at random", minimum=0, maximum=1)

    @property
    def matrix(self) -> tuple[tuple[float, float, float], ...]:
        """Intrinsics (3, 3): from metres in the optical frame to pixels."""
        return (
            (self.focal, 0.0, (self.width - 1) / 2),
            (0.0, self.focal, (self.height - 1) / 2),
            (0.0, 0.0, 1.0),
        )


@dataclass(frozen=True)
class TabletopConfig(Settings):
    """A folder of objects, each seen alone on a table from many sides, with written and spoken descriptions."""

    seed: int = setting(0, "seed of all that is random: another seed gives other objects", minimum=0, maximum=2**31 - 1)
    classes: int = setting(20, "classes of objects, the first ones of the catalogue", minimum=1, maximum=20)
    instances: int = setting(4, "objects of each class", minimum=1, maximum=50)
    views: int = setting(8, "pictures of each object", minimum=1, maximum=1000)
    descriptions: int = setting(5, "written descriptions of each picture, by different writers", minimum=0, maximum=12)
    utterances: int = setting(2, "spoken descriptions of each picture, by different speakers", minimum=0, maximum=12)
    slips: float = setting(0.05, "share of words that are wrong and name something similar", minimum=0, maximum=1)
    nearest: float = setting(0.55, "closest distance of the camera", unit="m", minimum=0.4, maximum=5)
    farthest: float = setting(1.3, "farthest distance of the camera", unit="m", minimum=0.4, maximum=5)
    margin: float = setting(
        0.18, "margin of a crop around its object, as a share of the object's size", minimum=0, maximum=2
    )
    focal: float = setting(525.0, "focal length of the camera of 640 x 480 pixels", unit="px", minimum=20, maximum=5000)


@dataclass(frozen=True)
class SceneConfig(Settings):
    """A table with several objects, as a passing camera sees it."""

    objects: int = setting(8, "objects on the table", minimum=1, maximum=16)
    frames: int = setting(24, "pictures along the path", minimum=1, maximum=10000)
    rate: float = setting(5.0, "frame rate of the camera", unit="Hz", minimum=0.1, maximum=100)
    sweep: float = setting(110.0, "angle around the table that the path covers", unit="deg", minimum=0, maximum=360)
    distance: float = setting(
        1.25, "horizontal distance of the camera from the middle of the table", unit="m", minimum=0.7, maximum=5
    )
