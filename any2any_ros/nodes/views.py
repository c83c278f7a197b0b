"""Combines colour, depth, intrinsics, poses and detections into camera views, by their stamps. No ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from any2any_ros.arrays import Float64
from any2any_ros.nodes.inbox import Newest
from any2any_ros.nodes.rate import Rate
from any2any_ros.objects.camera_view import CameraView
from any2any_ros.objects.proposals import Box
from any2any_ros.samples import NS

WAITING = 30  # poses, pictures of each kind, and detections that wait for the rest of their view
KINDS = ("camera", "depth")


class Views:
    """Makes one CameraView for every moment of the cameras that are alive. Times are ns.

    A camera whose stamps are farther from those of a view than `timeout` is not waited for, as if it were dead.
    """

    def __init__(self, slop: float, timeout: float, with_boxes: bool, on_view: Callable[[CameraView], None]) -> None:
        """slop: stamps of one view differ by at most this much, s. timeout: a camera is dead this long after its last
        picture, s. with_boxes: whether a view waits for detections. on_view: takes each view."""
        self._slop_ns, self._timeout_ns = int(slop * NS), int(timeout * NS)
        self._with_boxes, self._on_view = with_boxes, on_view
        self.rates = {kind: Rate() for kind in KINDS}
        self._made, self._since_ns = Rate(), 0  # views, and when the first camera became alive
        self._pictures: dict[str, Newest[tuple[int, Any]]] = {kind: Newest(WAITING) for kind in KINDS}
        self._unused = 0  # pictures that an other view has made obsolete
        self.clear()

    def clear(self) -> None:
        """Forget all that waits for a view."""
        for pictures in self._pictures.values():
            pictures.clear()
        self._stamps: dict[str, int] = {}  # of the last picture of each kind
        self._poses: deque[tuple[int, Float64]] = deque(maxlen=WAITING)
        self.boxes: deque[tuple[int, tuple[Box, ...]]] = deque(maxlen=WAITING)
        self.intrinsics: Float64 | None = None

    @property
    def dropped(self) -> int:
        """Return how many pictures are in no view, because newer ones came before the rest of their view."""
        return self._unused + sum(pictures.dropped for pictures in self._pictures.values())

    def alive(self, now_ns: int) -> tuple[str, ...]:
        """Return which of camera and depth have sent a picture within the timeout."""
        return tuple(kind for kind in KINDS if self.rates[kind].age(now_ns) * NS <= self._timeout_ns)

    def add_picture(self, kind: str, stamp_ns: int, picture: Any, now_ns: int) -> None:
        if not self.alive(now_ns):
            self._since_ns = now_ns
        self.rates[kind].tick(now_ns)
        self._stamps[kind] = stamp_ns
        self._pictures[kind].put((stamp_ns, picture), picture.nbytes)
        self._combine(stamp_ns, now_ns)

    def add_pose(self, stamp_ns: int, pose: Float64, now_ns: int) -> None:
        """Add the pose (4, 4) of the camera in the map."""
        self._poses.append((stamp_ns, pose))
        self._combine(stamp_ns, now_ns)

    def add_boxes(self, stamp_ns: int, boxes: tuple[Box, ...], now_ns: int) -> None:
        self.boxes.append((stamp_ns, boxes))
        self._combine(stamp_ns, now_ns)

    def troubles(self, now_ns: int) -> Iterator[str]:
        """Yield why a camera that is alive is not used, and why there is no view at all."""
        alive = self.alive(now_ns)
        colour, depth = (self._stamps.get(kind, 0) for kind in KINDS)
        apart = abs(depth - colour)
        if len(alive) == len(KINDS) and apart > self._timeout_ns:
            side = "ahead of" if depth > colour else "behind"
            yield f"the stamps of depth are {apart / NS:.1f} s {side} those of camera: set the drivers' clocks"
        without = min(self._made.age(now_ns) * NS, now_ns - self._since_ns)
        if alive and without > self._timeout_ns:
            yield f"no view is made of the pictures: {self._lacking([self._stamps[kind] for kind in alive])}"

    def _lacking(self, stamps_ns: list[int]) -> str:
        """Return what pictures of these stamps lack for a view."""
        if self.intrinsics is None:
            return "there are no intrinsics"
        others = {"pose of the camera": [stamp for stamp, _ in self._poses]}
        if self._with_boxes:
            others["detection"] = [stamp for stamp, _ in self.boxes]
        for name, known in others.items():
            nearest = min((abs(one - other) for one in stamps_ns for other in known), default=None)
            if nearest is None:
                return f"there is no {name}"
            if nearest > self._slop_ns:
                return f"the nearest {name} is {nearest / NS:.1f} s away"
        return f"those of camera and depth are more than {self._slop_ns / NS:g} s apart"

    def _combine(self, stamp_ns: int, now_ns: int) -> None:
        """Make the view around this stamp, as soon as a picture of every camera that is alive has arrived."""
        kinds = [k for k in self.alive(now_ns) if abs(self._stamps.get(k, stamp_ns) - stamp_ns) <= self._timeout_ns]
        pictures = {k: self._near(self._pictures[k], stamp_ns) for k in kinds}
        pose = self._near(self._poses, stamp_ns)
        boxes = self._near(self.boxes, stamp_ns) if self._with_boxes else None
        if pose is None or self.intrinsics is None or (self._with_boxes and boxes is None) or not pictures:
            return
        if any(p is None for p in pictures.values()) or self._poses[-1][0] - stamp_ns > self._timeout_ns:
            return
        view = CameraView(stamp_ns, self.intrinsics, pose, pictures.get("camera"), pictures.get("depth"), boxes)
        self._unused -= len(pictures)
        self._drop_until(stamp_ns)
        self._made.tick(now_ns)
        self._on_view(view)

    def _near(self, items: Iterable[tuple[int, Any]], stamp_ns: int) -> Any:
        """Return the item nearest to a stamp; None when it is more than `slop` away."""
        nearest = min(items, key=lambda item: abs(item[0] - stamp_ns), default=None)
        return None if nearest is None or abs(nearest[0] - stamp_ns) > self._slop_ns else nearest[1]

    def _drop_until(self, stamp_ns: int) -> None:
        """Drop the pictures of this view and all before it: each picture is used once.

        After a jump of the clock back, pictures from before the jump have later stamps and stay.
        """
        until = stamp_ns + self._slop_ns
        self._unused += sum(pictures.keep(lambda item: item[0] > until) for pictures in self._pictures.values())
