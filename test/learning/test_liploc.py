"""LIP-Loc's loss against plain loops, what counts as one place, variations that keep a pair true, and learning."""

import numpy as np
import pytest

from any2any_ros.config import PlaceConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import liploc, liploc_pairs
from any2any_ros.learning.liploc import TrainingConfig
from any2any_ros.learning.liploc_pairs import Pairs, VariationConfig

torch = pytest.importorskip("torch", reason="PyTorch is absent: make torch")

PLACE = PlaceConfig(hit_radius=5.0, path_gap=20.0)
STILL = VariationConfig(light=0.0, grey=0.0, grain=0.0, dropout=0.0, blur=0.0, turn=0.0, passes=0.0)


def pose(x, y, degrees=0.0):
    made, angle = np.eye(4), np.radians(degrees)
    made[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    made[:2, 3] = x, y
    return made


def frames(poses, maps=None, drives=None, path=None, seed=0):
    """Pairs at these poses; picture and scan show the same pattern, each in its own way."""
    count, draw = len(poses), np.random.default_rng(seed)
    pattern = draw.integers(0, 200, (count, 1, 4, 8))
    pictures = np.concatenate([pattern, 200 - pattern, pattern // 2], axis=1).astype(np.uint8)
    zeros = np.zeros(count, dtype=np.intp)
    return Pairs(
        pictures, (200 - pattern).astype(np.uint8), np.array(poses), zeros if maps is None else np.array(maps),
        zeros if drives is None else np.array(drives), np.arange(count) * 1.0 if path is None else np.array(path), 251,
    )  # fmt: skip


def street(count=40, step=10.0):
    return frames([pose(step * i, 0) for i in range(count)])


def tower(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(96, 16))


def trained(pairs, config, variation=STILL):
    towers = {"camera": tower(1), "lidar": tower(2)}
    checkpoints = list(liploc.training(towers, pairs, PLACE, mrr(pairs), config, variation))
    return towers, checkpoints


def mrr(pairs):
    def judge(encode):
        similarity = encode("camera", pairs.pictures) @ encode("lidar", pairs.ranges).T
        return float(np.mean(1 / (1 + (similarity > np.diag(similarity)[:, None]).sum(axis=1))))

    return judge


# --- the loss -------------------------------------------------------------------------------------------------


def test_the_loss_is_the_sum_over_its_pairs():
    """Against plain loops, with soft targets and pairs that do not count."""
    draw = np.random.default_rng(0)
    camera, lidar = draw.normal(size=(2, 5, 7))
    like = np.eye(5)
    like[0, 3], like[3, 0] = 0.4, 0.6
    counts = np.ones((5, 5), dtype=bool)
    counts[1, 2] = counts[4, 0] = False
    cos = [[u @ v / np.linalg.norm(u) / np.linalg.norm(v) / 0.2 for v in lidar] for u in camera]

    def side(like, counts, cos):
        total = 0.0
        for i in range(5):
            below = sum(np.exp(cos[i][j]) for j in range(5) if counts[i][j])
            for j in range(5):
                if counts[i][j]:
                    total -= like[i][j] / sum(like[i]) * np.log(np.exp(cos[i][j]) / below)
        return total / 5

    expected = (side(like, counts, cos) + side(like.T, counts.T, np.transpose(cos))) / 2
    given = (torch.tensor(x) for x in (camera, lidar, like, counts))
    assert float(liploc.pair_loss(*given, 0.2)) == pytest.approx(expected, rel=1e-9)


def test_with_one_place_a_pair_the_loss_is_clip_s():
    draw = torch.Generator().manual_seed(0)
    camera, lidar = torch.randn(6, 8, generator=draw), torch.randn(6, 8, generator=draw)
    logits = torch.nn.functional.cosine_similarity(camera[:, None], lidar[None], dim=-1) / 0.07
    right = torch.arange(6)
    expected = (
        torch.nn.functional.cross_entropy(logits, right) + torch.nn.functional.cross_entropy(logits.T, right)
    ) / 2
    found = liploc.pair_loss(camera, lidar, torch.eye(6), torch.ones(6, 6, dtype=torch.bool), 0.07)
    torch.testing.assert_close(found, expected)


def test_what_does_not_count_changes_nothing_and_every_gradient_is_finite():
    camera, lidar = torch.randn(4, 6), torch.randn(4, 6)
    counts = torch.ones(4, 4, dtype=torch.bool)
    counts[0, 1] = counts[1, 0] = False
    like = torch.eye(4)
    like[2, 3] = like[3, 2] = 0.5
    before = liploc.pair_loss(camera[:1].repeat(4, 1), lidar, like, counts, 0.07)
    x, y = camera.clone().requires_grad_(), lidar.clone().requires_grad_()
    liploc.pair_loss(x, y, like, counts, 0.01).backward()
    assert torch.isfinite(before) and torch.isfinite(x.grad).all() and torch.isfinite(y.grad).all()
    alone = torch.eye(4, dtype=torch.bool)  # nothing to be told apart from: nothing to learn
    assert float(liploc.pair_loss(camera, lidar, torch.eye(4), alone, 0.07)) == pytest.approx(0, abs=1e-6)


# --- what is one place ----------------------------------------------------------------------------------------


def test_near_frames_are_partly_alike_and_those_facing_elsewhere_do_not_count():
    pairs = frames([pose(0, 0), pose(2, 0), pose(0, 1, 180), pose(9, 0), pose(0, 0)], maps=[0, 0, 0, 0, 1])
    rows = np.arange(5)
    like, counts = liploc_pairs.likeness(pairs, rows, rows, 5.0)
    np.testing.assert_allclose(like[0], [1, 0.6, 0, 0, 0])
    assert counts[0].tolist() == [True, True, False, True, True]  # another map's origin is another place
    np.testing.assert_array_equal(counts, counts.T)


def test_a_partner_is_another_pass_of_the_same_place_facing_the_same_way():
    poses = [pose(0, 0), pose(1, 0), pose(30, 0), pose(0.5, 0.5), pose(30, 1, 180), pose(0.5, 0.4)]
    pairs = frames(poses, maps=[0] * 5 + [1], drives=[0, 0, 0, 1, 1, 2], path=[0, 1, 30, 0, 30, 0])
    assert liploc_pairs.partners(pairs, PLACE).tolist() == [3, 3, 2, 0, 4, 5]
    loop = frames([pose(0, 0), pose(10, 0), pose(0.2, 0)], path=[0, 10, 50])
    assert liploc_pairs.partners(loop, PLACE).tolist() == [2, 1, 0]


def test_a_batch_is_of_one_map_and_every_map_has_its_turns():
    maps = np.repeat([0, 1, 2], [100, 40, 7])
    stream = liploc_pairs.batches(maps, 20, np.random.default_rng(0))
    found = [next(stream) for _ in range(8)]
    assert [len(set(maps[rows])) for rows in found] == [1] * 8
    assert sorted(maps[rows[0]] for rows in found) == [0] * 5 + [1] * 2 + [2]
    assert len(np.unique(np.concatenate(found))) == 147  # none twice in a round


# --- variation ------------------------------------------------------------------------------------------------


def test_without_variation_nothing_varies():
    pairs, draw = street(), torch.Generator().manual_seed(0)
    pictures, ranges = torch.from_numpy(pairs.pictures), torch.from_numpy(pairs.ranges)
    torch.testing.assert_close(liploc_pairs.varied_pictures(pictures, STILL, draw), pictures.float())
    torch.testing.assert_close(liploc_pairs.varied_ranges(ranges, 251, STILL, draw), ranges.float())


def test_variation_keeps_to_its_bounds():
    draw, config = torch.Generator().manual_seed(0), VariationConfig(dropout=0.3)
    flat = torch.full((200, 1, 16, 32), 100, dtype=torch.uint8)
    flat[:, :, :4] = 251
    found = liploc_pairs.varied_ranges(flat, 251, config, draw)
    assert (found[:, :, :4] == 251).all()  # what is empty stays so
    lost = (found[:, :, 4:] == 251).float().mean(dim=(1, 2, 3))
    assert 0 < lost.mean() < 0.2 and lost.max() < 0.4
    kept = found[:, :, 4:][found[:, :, 4:] != 251]
    assert abs(kept.mean() - 100) < 0.5 and 1 < kept.std() < 255 * config.blur
    pictures = liploc_pairs.varied_pictures(flat.expand(-1, 3, -1, -1), config, draw)
    assert pictures.min() >= 0 and pictures.max() <= 255 and pictures.mean(dim=(1, 2, 3)).std() > 10


def test_a_shift_moves_all_rows_and_colours_alike():
    x = torch.arange(32).float().expand(6, 3, 4, 32)
    found = liploc_pairs.varied_pictures(x, VariationConfig(0.0, 0.0, 0.0, turn=0.1), torch.Generator().manual_seed(1))
    assert (found == found[:, :1, :1]).all()
    step = found[:, 0, 0, 16] - 16
    assert step.abs().max() <= 3 and len(step.unique()) > 1


# --- learning -------------------------------------------------------------------------------------------------


def test_what_two_sensors_share_is_learnt():
    pairs = street()
    _, checkpoints = trained(pairs, TrainingConfig(steps=80, interval=20, batch=20, learning_rate=1e-2, warm_up=5))
    losses = [checkpoint.loss for checkpoint in checkpoints]
    assert losses[-1] < 0.3 * losses[0] and checkpoints[-1].highest > 0.9  # chance 0.1


def test_the_same_seed_gives_the_same_towers_and_another_another():
    config = {"steps": 6, "interval": 3, "batch": 8}
    one, two, other = (trained(street(), TrainingConfig(**config, seed=s), VariationConfig())[1][-1] for s in (3, 3, 4))
    for half, state in one.best.items():
        for name, value in state.items():
            assert torch.equal(value, two.best[half][name])
    assert one.loss == two.loss != other.loss


def test_the_best_towers_are_kept_and_training_ends_without_better_ones():
    scores, pairs = iter([0.2, 0.5, 0.4, 0.3, 0.9]), street()
    towers = {"camera": tower(1), "lidar": tower(2)}
    config = TrainingConfig(steps=50, interval=2, batch=8, patience=2)
    checkpoints = list(liploc.training(towers, pairs, PLACE, lambda encode: next(scores), config, STILL))
    assert [checkpoint.highest for checkpoint in checkpoints] == [0.2, 0.5, 0.5, 0.5]
    assert checkpoints[-1].best is checkpoints[1].best
    assert not torch.equal(checkpoints[-1].best["camera"]["1.weight"], towers["camera"][1].weight)


def test_one_pair_teaches_nothing():
    with pytest.raises(Any2AnyError, match="there are 1 pairs"):
        next(liploc.training({}, street(1), PLACE, mrr(street(1))))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named():
    with pytest.raises(Any2AnyError, match="PyTorch sees none"):
        liploc.torch_and_device(TrainingConfig(device="cuda"))
