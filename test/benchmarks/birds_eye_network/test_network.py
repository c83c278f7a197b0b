"""Networks: turning an image by a step of the angle leaves its vector as it is, and training brings pairs together."""

import numpy as np
import pytest
from birds_eye_network import views
from birds_eye_network.towns import Town
from birds_eye_network.views import VIEWS

from any2any_ros.birds_eye import image

torch = pytest.importorskip("torch", reason="PyTorch is absent: make torch")

from birds_eye_network import training  # noqa: E402
from birds_eye_network.network import TURNS, Network, Turning, turned_filters  # noqa: E402

STEPS = {"polar": 4, "magnitudes": 6}  # angles of the view that the network averages, and so a step of its own


def levels(seed=0):
    """An image (SIZE, SIZE) of walls and posts."""
    draw, made = np.random.default_rng(seed), np.zeros((image.SIZE, image.SIZE), np.uint8)
    for _ in range(25):
        row, column = draw.integers(5, 110, 2)
        height, width = draw.permutation([draw.integers(2, 15), 2])
        made[row : row + height, column : column + width] = draw.integers(1, 4)
    return np.where(image.INSIDE, made, 0).astype(np.uint8)


@pytest.mark.parametrize("view", VIEWS)
def test_a_quarter_of_a_turn_leaves_the_vector_as_it_is(view):
    network = Network(view, 0)
    seen = levels()
    vectors = network.describe([seen, *(np.rot90(seen, i).copy() for i in (1, 2, 3)), levels(1)])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    away = np.linalg.norm(vectors - vectors[0], axis=1)
    assert away[1:4].max() < 0.1 * away[4]


@pytest.mark.parametrize("view", STEPS)
@pytest.mark.parametrize("count", [1, 5])
def test_a_turn_by_a_step_of_the_angle_shifts_the_view_and_leaves_the_vector_as_it_is(view, count):
    network = Network(view, 1)
    network.parts.eval()
    seen = VIEWS[view](levels())
    both = np.stack([seen, np.roll(seen, count * STEPS[view], axis=1)])
    with torch.no_grad():
        vectors = network(torch.from_numpy(both)).numpy()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


def test_a_polar_view_of_a_turned_image_is_shifted():
    seen, turned = views.polar(levels()), views.polar(np.rot90(levels()).copy())
    shifts = [np.abs(np.roll(seen, i, axis=1) - turned).mean() for i in range(views.ANGLES)]
    assert int(np.argmin(shifts)) % (views.ANGLES // 4) == 0 and min(shifts) < 0.01 < np.median(shifts)


def test_the_magnitudes_do_not_change_much_with_a_shift():
    seen = np.zeros((image.SIZE, image.SIZE), np.uint8)
    seen[40:80, 40:80] = levels()[40:80, 40:80]
    aside = views.magnitudes(np.roll(seen, (5, -4), axis=(0, 1)))
    assert np.corrcoef(views.magnitudes(seen).ravel(), aside.ravel())[0, 1] > 0.95


def test_turned_filters_are_turned_and_take_the_answers_of_turned_filters_in_order():
    filters = torch.arange(2 * 3 * TURNS * 9.0).reshape(2, 3, TURNS, 3, 3)
    made = turned_filters(filters).reshape(2, TURNS, 3, TURNS, 3, 3)
    torch.testing.assert_close(made[:, 0], filters)
    torch.testing.assert_close(made[:, 1, :, 1], torch.rot90(filters[:, :, 0], 1, (-2, -1)))


def test_features_of_a_turned_image_are_turned():
    part = Turning()
    part.parts.eval()
    seen = torch.from_numpy(views.cells(levels()))[None, None]
    with torch.no_grad():
        before, after = part.features(seen), part.features(torch.rot90(seen, 1, (-2, -1)))
    expected = torch.rot90(before, 1, (-2, -1)).roll(1, dims=2)
    torch.testing.assert_close(after, expected, atol=1e-4, rtol=1e-3)


def test_a_batch_has_two_views_of_each_place_and_a_seed_gives_the_same_network(monkeypatch):
    monkeypatch.setattr(training, "PAIRS", 8)
    town = Town("dozen", np.stack([levels(i) for i in range(12)]), np.arange(12)[:, None] * [50.0, 0], np.zeros(12))
    seen, different = training.batch(town, "polar", np.random.default_rng(0))
    assert seen.shape == (16, views.RINGS, views.ANGLES) and seen.dtype == np.float32
    np.testing.assert_array_equal(different, ~np.eye(8, dtype=bool))
    same = training.trained("polar", 3, [town], 2).describe(town.images)
    np.testing.assert_array_equal(same, training.trained("polar", 3, [town], 2).describe(town.images))


def test_the_loss_is_small_where_partners_are_alike_and_leaves_out_what_is_near():
    first = torch.eye(4)
    assert training.pair_loss(first, first, ~torch.eye(4, dtype=torch.bool)) < 0.01
    swapped = first[[1, 0, 2, 3]]
    assert training.pair_loss(first, swapped, ~torch.eye(4, dtype=torch.bool)) > 3
    near = torch.ones(4, 4, dtype=torch.bool)
    near[:2, :2] = False
    assert training.pair_loss(first, swapped, near) < 1.5


def test_the_rate_rises_then_falls():
    shares = [training.rate(done) for done in np.linspace(0, 1, 50)]
    assert shares[0] == 0 and max(shares) > 0.95 and shares[-1] == 0 and int(np.argmax(shares)) < 8
