"""The variational connection's losses against plain loops, and that it learns."""

import numpy as np
import pytest

from any2any_ros.learning import cox_steps as steps
from any2any_ros.learning import cox_variational as variational

torch = pytest.importorskip("torch", reason="PyTorch is absent: make torch")


def test_reconstruction_counts_what_is_there():
    draw = np.random.default_rng(0)
    rebuilt, known = draw.normal(size=(5, 4)), draw.normal(size=(5, 4))
    known[1, :2], known[3] = np.nan, np.nan
    expected = []
    for i in range(5):
        errors = [(rebuilt[i, d] - known[i, d]) ** 2 for d in range(4) if not np.isnan(known[i, d])]
        expected.append(sum(errors) / len(errors) if errors else 0.0)
    z = torch.tensor(rebuilt, requires_grad=True)
    found = variational.reconstruction_loss(z, torch.tensor(known))
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)
    found.sum().backward()
    assert torch.isfinite(z.grad).all() and (z.grad[3] == 0).all()


def test_kl_is_that_of_gaussians():
    mean, log_variance = np.array([[0.5, -1.0], [0.0, 0.0]]), np.array([[0.2, -0.7], [0.0, 0.0]])
    normal = torch.distributions.Normal
    one = normal(torch.tensor(mean), torch.tensor(np.exp(log_variance / 2)))
    expected = torch.distributions.kl_divergence(one, normal(torch.zeros(2, 2).double(), torch.ones(2, 2).double()))
    found = variational.kl_loss(torch.tensor(mean), torch.tensor(log_variance))
    np.testing.assert_allclose(found, expected.sum(dim=1), atol=1e-12)
    assert found[1] == 0


def test_cross_entropy_takes_shares():
    logits, target = np.array([[1.0, 2.0, 0.0]]), np.array([[0.2, 0.5, 0.3]])
    expected = -sum(t * np.log(np.exp(v) / np.exp(logits).sum()) for t, v in zip(target[0], logits[0], strict=True))
    found = variational.cross_entropy_loss(torch.tensor(logits), torch.tensor(target))
    np.testing.assert_allclose(found, [expected], atol=1e-12)


def problem(n=200):
    draw = np.random.default_rng(1)
    x, label = draw.normal(size=(n, 6)), draw.integers(0, 3, n)
    x += 2 * np.eye(3)[label] @ draw.normal(size=(3, 6))
    known = [x @ draw.normal(size=(6, w)) + 0.1 * draw.normal(size=(n, w)) for w in (5, 3)]
    heads = [steps.softmax_regression(z, np.eye(3)[label], np.ones(n), 1.0) for z in known]
    return x, known, np.eye(3)[label], heads


def sides(known, heads, start):
    return [variational.Side(*side) for side in zip(known, heads, start, strict=True)]


HOW = variational.Bottleneck(latent=8, kl=1e-3, steps=200, learning_rate=1e-2, seed=0)


def test_it_learns_to_rebuild_and_to_name_from_nothing():
    x, known, target, heads = problem()
    blank = [(np.random.default_rng(2).normal(size=(6, z.shape[1])) * 0.1, np.zeros(z.shape[1])) for z in known]
    found = variational.connect(x, sides(known, heads, blank), target, np.ones(len(x)), HOW)

    def misses(lines):
        return sum(((x @ w + b - z) ** 2).mean() / z.var() for (w, b), z in zip(lines, known, strict=True))

    assert misses(found) < 0.5 * misses(blank)
    (w, b), (v, c) = found[0], heads[0]
    assert (((x @ w + b) @ v + c).argmax(axis=1) == target.argmax(axis=1)).mean() > 0.9


def test_without_a_step_it_is_what_it_began_as():
    x, known, target, heads = problem()
    start = [steps.ridge_regression(x, z, 0.1) for z in known]
    still = variational.Bottleneck(8, 1e-3, 0, 1e-2, 0)
    for (w, b), (v, c) in zip(
        variational.connect(x, sides(known, heads, start), target, np.ones(len(x)), still), start, strict=True
    ):
        np.testing.assert_allclose(w, v, atol=1e-5)
        np.testing.assert_allclose(b, c, atol=1e-5)


def test_rows_without_weight_change_nothing_and_the_seed_everything():
    x, known, target, heads = problem(60)
    start = [steps.ridge_regression(x, z, 0.1) for z in known]
    weight = (np.arange(60) < 40).astype(float)
    one = variational.connect(x, sides(known, heads, start), target, weight, HOW)
    changed = [np.where(weight[:, None] > 0, z, 99.0) for z in known]
    two = variational.connect(x, sides(changed, heads, start), target, weight, HOW)
    np.testing.assert_array_equal(one[0][0], two[0][0])
    other = variational.Bottleneck(HOW.latent, HOW.kl, HOW.steps, HOW.learning_rate, 1)
    three = variational.connect(x, sides(known, heads, start), target, weight, other)
    assert not np.allclose(one[0][0], three[0][0])
    assert torch.get_default_dtype() == torch.float32
