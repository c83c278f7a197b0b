"""What the sections compare with, and the rows they make of what they find."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.speed import _networks, backends, encoders, end_to_end, footprint, search
from benchmarks.speed._outcome import Outcome


def test_scan_context_holds_the_highest_point_of_every_bin():
    draw = np.random.default_rng(0)
    points = draw.uniform([-90, -90, -1.9, 0], [90, 90, 12, 1], (3000, 4)).astype(np.float32)
    found = encoders.scan_context(points)
    x, y, z = points[:, :3].astype(np.float64).T
    distance, turn = np.hypot(x, y), np.arctan2(y, x) % (2 * np.pi)
    for ring in range(20):
        for sector in range(60):
            here = (distance // 4 == ring) & (turn // (np.pi / 30) == sector)
            assert found[ring, sector] == pytest.approx(max(0, (z[here] + 2).max(initial=0)), abs=1e-9)


def test_a_laser_scan_is_the_nearest_return_of_each_beam():
    points = np.array([[5, 0, 0, 0], [3, 0, 0.2, 0], [2, 0, 3, 0], [0, 7, -0.4, 0]], dtype=np.float32)
    scan = encoders.laser_scan(points)
    seen = np.flatnonzero(np.isfinite(scan.ranges))
    angles = scan.angle_min + seen * scan.angle_increment
    np.testing.assert_allclose(angles, [0, np.pi / 2], atol=scan.angle_increment)
    np.testing.assert_allclose(scan.ranges[seen], [3, 7])  # what stands higher is not seen


def test_the_rival_reads_the_same_points():
    points = np.random.default_rng(0).normal(size=(20, 4)).astype("<f4")
    points[3, 1] = points[7, 3] = np.nan
    padded = np.zeros((20, 6), dtype="<f4")
    padded[:, :4] = points
    cloud = SimpleNamespace(data=padded.tobytes(), point_step=24)
    np.testing.assert_array_equal(encoders.structured_points(cloud), np.delete(points, [3, 7], axis=0))


def test_fusion_rows_keep_the_ratio_of_the_turns_and_the_recall():
    table = {
        "plain": {"ms": 50.0, "ratio": 1.0},
        "any2any": {"ms": 60.0, "ratio": 1.1, "identical": "4/4"},
        "likelihood_ratio": {"ms": 40.0, "ratio": 0.8, "identical": "4/4"},
        **{f"alpha {a}": {"ms": 70.0 + a, "ratio": 1.4, "recall": 0.25} for a in (1, 4, 16)},
        "reciprocal rank": {"ms": 120.0, "ratio": 2.4},
    }
    rows = list(search.fusion_rows("9 pairs", table))
    assert (
        [row.ratio for row in rows[:2]] == [1.1, 0.8] and rows[0].met and rows[0].reached == pytest.approx(1.1 / 1.15)
    )
    assert rows[1].bar == "" and rows[0].note == "4/4 identical to brute force"
    assert [row.rival for row in rows[2:]] == ["α·k, α = 1", "α·k, α = 4", "α·k, α = 16", "reciprocal-rank fusion"]
    assert rows[3].ratio == pytest.approx(60 / 74) and "0.25" in rows[3].note
    assert len(list(search.fusion_rows("9 pairs, 30 % of the vectors missing", table))) == 2


def test_without_pytorch_the_rows_of_networks_say_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(_networks, "NEEDED", ("torch_that_is_not_here", "onnxscript_neither"))
    alone, driven = list(backends.rows(True)), list(end_to_end._with_network(tmp_path, 10))
    there = list(end_to_end._on_gpu(tmp_path, 10))
    assert len(alone) == 3 + len(backends.GPU_ROWS) and [row.bar for row in driven] == ["≤ 50", "≤ 65"]
    assert [row.bar for row in there] == ["≤ 10", "≤ 20"]
    for row in alone + driven + there:
        assert row.value is None and row.met is None
        assert row.note == "unmeasured: no torch_that_is_not_here, onnxscript_neither (`make torch`)"


@pytest.mark.skipif(bool(_networks.lacking()), reason=_networks.lacking())
def test_the_rows_of_a_gpu_are_made_as_on_a_cpu(monkeypatch, tmp_path):
    """With networks that are small, and few pictures: what is left to a GPU is its speed."""
    small = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    monkeypatch.setattr(_networks, "FOLDER", tmp_path)
    monkeypatch.setattr(_networks, "SMALL", _networks.SMALL | small)
    monkeypatch.setattr(backends, "MANY", 3)
    pictures = list(np.random.default_rng(0).integers(0, 255, (2, 48, 64, 3), dtype=np.uint8))
    rows = list(backends._on_gpu(_networks.vision("torch").encode_batch(pictures), pictures, device="cpu"))
    assert [(row.what, row.unit) for row in rows] == list(backends.GPU_ROWS)
    assert all(row.value > 0 and row.rival == backends.PLAIN and row.ratio > 0 for row in rows)
    assert all("1 - cosine at most" in row.note for row in rows[:2])


@pytest.mark.skipif(bool(_networks.lacking()), reason=_networks.lacking())
def test_a_range_image_network_can_be_had_for_the_drive(monkeypatch, tmp_path):
    monkeypatch.setattr(_networks, "FOLDER", tmp_path)
    encoder = _networks.range_image("cpu")
    points = np.random.default_rng(0).uniform(-20, 20, (2000, 4)).astype(np.float32)
    assert encoder.encode(points).shape == (256,) and encoder.view.height == 224


def test_memory_is_summed_over_the_processes():
    rows = list(footprint.memory(Outcome(memory={"a": (400_000_000, 500_000_000), "b": (200_000_000, 300_000_000)},
                                         cores={"a": 0.25, "b": 0.125})))  # fmt: skip
    assert [row.value for row in rows] == [600, 800, 400, 200, 37.5]
    assert rows[0].met is True and rows[1].met is None


def test_the_last_node_ready_is_what_counts():
    together = [{"a": 1.0, "b": 4.0}, {"a": 3.5, "b": 2.0}, {"a": 1.0, "b": 2.0}]
    last, slowest, *each = footprint.readiness(together, [{"a": 0.5}, {"b": 1.0}, {"a": 0.7}, {"b": 2.0}])
    assert last.value == 3.5 and last.met is False  # of 4, 3.5 and 2
    assert slowest.value == 1.5 and slowest.met is True
    found = [(row.what.split()[0], row.value, row.note) for row in each]
    assert found == [("a", 1.0, "alone 0.60 s"), ("b", 2.0, "alone 1.50 s")]
