"""Settings of the simulated town: what is built, how the two laps differ, how good the sensors are."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.sim.town.conditions import CONDITIONS

SMALLEST_BLOCK = 24.0  # m; in a smaller block no house fits between two streets


@dataclass(frozen=True)
class TownConfig(Settings):
    """A town, two laps through it, and the sensors that record them."""

    seed: int = setting(0, "seed of all that is random: another seed gives another town", minimum=0, maximum=2**31 - 1)
    places: int = setting(480, "frames in each lap", minimum=20, maximum=20000)
    squares: int = setting(6, "blocks of the route, a chain of squares that touch at corners", minimum=2, maximum=40)
    reverse_every: int = setting(
        3, "lap 01 drives every n-th block in the opposite direction (0: none)", minimum=0, maximum=40
    )
    speed: float = setting(6.0, "driving speed", unit="m/s", minimum=0.5, maximum=40)
    rate: float = setting(4.0, "frames per second", unit="Hz", minimum=0.5, maximum=20)
    likeness: float = setting(
        0.7, "share of houses that copy their neighbour; with more, streets look more alike", minimum=0, maximum=1
    )

    first_lap: str = setting("summer", "light, season and weather of lap 00", choices=CONDITIONS)
    second_lap: str = setting("autumn rain", "light, season and weather of lap 01", choices=CONDITIONS)
    change: float = setting(
        1.0,
        "how far the conditions of lap 01 differ from those of lap 00 (0: not at all); less helps the camera",
        minimum=0,
        maximum=1,
    )
    lane: float = setting(
        0.0,
        "distance of both laps to the right of the middle of the street; opposite directions are twice as far apart",
        unit="m",
        minimum=0,
        maximum=2,
    )
    offset: float = setting(1.5, "largest sideways offset of lap 01", unit="m", minimum=0, maximum=2)
    wobble: float = setting(
        1.5,
        "random change of the heading, one sigma; pitch and roll have a quarter of it",
        unit="deg",
        minimum=0,
        maximum=10,
    )
    parked: float = setting(0.55, "share of parking bays with a car", minimum=0, maximum=1)
    parked_stay: float = setting(
        0.0, "share of parking bays that look the same in both laps; the others are drawn anew", minimum=0, maximum=1
    )
    traffic: float = setting(
        8.0, "vans, lorries and groups of people close to the robot, per 100 m", minimum=0, maximum=30
    )

    points: int = setting(60000, "smallest number of points in a LiDAR scan", minimum=1000, maximum=150000)
    range_max: float = setting(80.0, "longest range of the LiDAR", unit="m", minimum=20, maximum=200)
    range_noise: float = setting(0.02, "range noise of the LiDAR, one sigma", unit="m", minimum=0, maximum=1)
    dropout: float = setting(0.05, "share of LiDAR returns that are lost in dry weather", minimum=0, maximum=0.5)

    width: int = setting(416, "width of the camera's pictures", unit="px", minimum=32, maximum=2048)
    height: int = setting(128, "height of the camera's pictures", unit="px", minimum=16, maximum=1024)
    field_of_view: float = setting(80.0, "horizontal field of view of the camera", unit="deg", minimum=30, maximum=120)
    image_noise: float = setting(
        0.015, "noise of the camera, one sigma, as a share of full scale", minimum=0, maximum=0.5
    )

    caption_facts: int = setting(5, "largest number of facts in a caption", minimum=1, maximum=8)
    caption_errors: float = setting(
        0.08,
        "share of facts that a caption of lap 01 leaves out; half as many are wrong",
        minimum=0,
        maximum=1,
    )
    caption_empty: float = setting(0.05, "share of frames without a caption", minimum=0, maximum=1)

    sources: float = setting(6.0, "sound sources per 100 m of street", minimum=0, maximum=50)
    source_change: float = setting(
        2.0, "level change of a sound source between laps, one sigma", unit="dB", minimum=0, maximum=40
    )
    source_silent: float = setting(0.06, "share of sound sources that are silent in a lap", minimum=0, maximum=1)
    own_noise: float = setting(
        -30.0,
        "level of the robot's motor and the wind, compared with a source at 5 m",
        unit="dB",
        minimum=-80,
        maximum=20,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block < SMALLEST_BLOCK:
            raise Any2AnyError(
                f"{self.squares} blocks do not fit on the route",
                f"it is {self.length:.0f} m long, so each block would be {self.block:.0f} m wide, "
                f"less than {SMALLEST_BLOCK:.0f}",
                "Give fewer squares, more places, or more metres between places (speed / rate)",
            )

    @property
    def length(self) -> float:
        """Length of one lap in metres."""
        return self.places * self.speed / self.rate

    @property
    def block(self) -> float:
        """Mean side of a block in metres."""
        return self.length / (4 * self.squares)

    @property
    def reversed_squares(self) -> tuple[int, ...]:
        """Blocks that lap 01 drives in the opposite direction."""
        n = self.reverse_every
        return tuple(i for i in range(self.squares) if n and i % n == 1 % n)

    @property
    def calibration_squares(self) -> int:
        """Number of blocks, from the first on, that are for calibration. The others are for the test."""
        return max(1, self.squares // 3)
