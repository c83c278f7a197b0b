"""Real files of other people's robots are read, or refused for the reason that docs/recordings.md says."""

from pathlib import Path

import pytest
from scan_files import as_message

from any2any_ros import encoders, samples
from any2any_ros.data.sources import open_recording
from any2any_ros.errors import Any2AnyError

PAGE = Path(__file__).parents[2] / "docs" / "recordings.md"
SICK, OUSTER = "odd_sensors/sick/rms_1xxx_lms_1xx_movement_off.bag", "odd_sensors/ouster/512x10_raw.bag"
TOPICS = [
    *((f"bags/{storage}/{name}", "text", topic) for storage in ("mcap", "sqlite3") for name, topic in (
        ("bag_with_topics_and_service_events", "/test_topic1"), ("talker", "/topic"), ("wbag", "AAA"))),
    ("odd_sensors/laserscan", "laser_scan", "/scan"),
    (OUSTER, "lidar", "/os_node0/lidar_packets"),
    (SICK, "laser_scan", "/sick_lms_1xx/scan"),
    (SICK, "lidar", "/cloud"),
    (SICK, "lidar", "/cloud_radar_track"),
    (SICK, "lidar", "/radar"),
]  # fmt: skip


@pytest.fixture
def real(shared_data):
    if not (shared_data / "real" / "odd_sensors").exists():
        pytest.skip("no real/odd_sensors in the shared data")
    return shared_data / "real"


def of_topic(path, modality, topic):
    """Return what becomes of a topic of a bag."""
    try:
        recording = open_recording(path, topics={modality: topic})
        recording.observe({modality: encoders.build(modality)}, 0)
    except Any2AnyError as error:
        return f"refused: {error.why}"
    row = recording.report.topic(modality, topic, "")
    if row.messages_refused:
        why = row.first_reason.split(": ", 1)[1].split(". ")[0]
        return f"{row.messages_refused} of {row.messages_read} refused: {why}"
    return f"{row.messages_encoded} of {row.messages_read} encoded"


def of_scan(file, lidar):
    """Return what becomes of a single scan."""
    try:
        points = samples.cloud(as_message(file))
        lidar.encode(points)
        return f"{len(points):,} points encoded"
    except Any2AnyError as error:
        return f"refused: {error.why}"


def of_other(file):
    with pytest.raises(Any2AnyError) as error:
        open_recording(file)
    return f"refused: {error.value.why}"


def test_the_page_says_what_becomes_of_each_real_file(real):
    lidar, found = encoders.build("lidar"), []
    for name, modality, topic in TOPICS:
        found.append((name, f"`{topic}` as {modality}", of_topic(real / name, modality, topic)))
    covered = tuple({name for name, _, _ in TOPICS})
    for file in sorted(p for folder in ("bags", "odd_sensors") for p in (real / folder).rglob("*") if p.is_file()):
        name = file.relative_to(real).as_posix()
        if file.suffix in (".pcd", ".ply", ".bin"):
            found.append((name, "one scan as PointCloud2", of_scan(file, lidar)))
        elif not name.startswith(covered) and file.name != "NOTES.md":
            found.append((name, "as it is", of_other(file)))
    table = "\n".join(f"| {name} | {what} | {result} |" for name, what, result in found)
    assert table in PAGE.read_text("utf-8"), f"docs/recordings.md should have\n{table}"
