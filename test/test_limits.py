"""The limits: what is above one is refused, and the page for people lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from any2any_ros import limits
from any2any_ros.errors import Any2AnyError

PAGE = Path(__file__).parents[1] / "docs" / "security.md"


def test_what_is_above_a_limit_is_refused_and_what_is_at_it_is_not():
    limits.check("an image", 1000, 1000, "pixels", "Scale it down")
    with pytest.raises(
        Any2AnyError, match=r"Cannot use an image: .* 1,001 pixels, and at most 1,000 are read\. Scale it"
    ):
        limits.check("an image", 1001, 1000, "pixels", "Scale it down")


@pytest.mark.parametrize("type_name", ["sensor_msgs/msg/Image", "sensor_msgs/msg/PointCloud2", "std_msgs/msg/String"])
def test_a_picture_may_be_larger_than_a_text(type_name):
    most = limits.SMALL_MESSAGE_BYTES if "String" in type_name else limits.MESSAGE_BYTES
    limits.check_message(range(most), type_name)
    with pytest.raises(Any2AnyError, match=f"a message of type {type_name}"):
        limits.check_message(range(most + 1), type_name)


def test_the_page_lists_every_limit_with_its_value():
    section = PAGE.read_text().split("## Limits")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| \S", section, re.MULTILINE)
    listed = {name: int(value.replace(",", "")) for name, value in rows}
    assert listed == {name: value for name, value in vars(limits).items() if type(value) is int}
