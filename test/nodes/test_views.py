"""Pictures, poses and detections become views; a camera with wrong stamps is left out, and named."""

import numpy as np
import pytest

from any2any_ros.nodes.views import Views

NS = 10**9
PICTURES = {"camera": np.ones((4, 6, 3), np.uint8), "depth": np.ones((4, 6), np.float32)}


class Table:
    """Cameras at 10 Hz that look at a table."""

    def __init__(self, with_boxes=False):
        self.made, self.now = [], 100 * NS
        self.views = Views(0.05, 2.0, with_boxes, self.made.append)
        self.views.intrinsics = np.array([[6.0, 0.0, 3.0], [0.0, 6.0, 2.0], [0.0, 0.0, 1.0]])

    def look(self, seconds, pose=0.0, period=0.1, **shifts):
        """Take pictures with stamps that are off by so many seconds. pose: the same of the poses; None: no poses."""
        for _ in range(round(seconds / period)):
            self.now += int(period * NS)
            for kind in PICTURES:
                self.views.add_picture(kind, self.now + int(shifts.get(kind, 0) * NS), PICTURES[kind], self.now)
            if pose is not None:
                self.views.add_pose(self.now + int(pose * NS), np.eye(4), self.now)

    def used(self):
        view = self.made[-1]
        return {kind for kind, picture in (("camera", view.rgb), ("depth", view.depth)) if picture is not None}

    @property
    def troubles(self):
        return "; ".join(self.views.troubles(self.now))


def test_each_moment_is_a_view():
    table = Table()
    table.look(3)
    assert [view.stamp_ns for view in table.made] == [100 * NS + i * NS // 10 for i in range(1, 31)]
    assert table.used() == {"camera", "depth"} and not table.troubles and table.views.dropped == 0


@pytest.mark.parametrize("bad", PICTURES)
@pytest.mark.parametrize("shift", [-3600, -3, 37, 2**31])
def test_a_camera_with_wrong_stamps_does_not_hold_up_the_other(bad, shift):
    table = Table()
    table.look(1)
    table.look(3, **{bad: shift})
    assert len(table.made) == 40 and table.used() == set(PICTURES) - {bad}
    side = "ahead of" if (shift > 0) == (bad == "depth") else "behind"
    assert f"the stamps of depth are {abs(shift)}.0 s {side} those of camera" in table.troubles
    table.look(1)
    assert table.used() == {"camera", "depth"} and not table.troubles


@pytest.mark.parametrize(
    ("look", "why"),
    [
        ({"pose": None}, "there is no pose of the camera"),
        ({"pose": 5.0}, "the nearest pose of the camera is 2.0 s away"),
        ({"depth": 0.3}, "those of camera and depth are more than 0.05 s apart"),
    ],
)
def test_why_there_is_no_view_is_told(look, why):
    table = Table()
    table.look(2, period=1, **look)
    assert not table.troubles
    table.look(2, period=1, **look)
    assert not table.made and why in table.troubles


def test_missing_intrinsics_and_detections_are_told():
    table = Table(with_boxes=True)
    table.look(3)
    assert table.troubles.endswith("there is no detection") and not table.made
    table.views.intrinsics = None
    assert table.troubles.endswith("there are no intrinsics")
