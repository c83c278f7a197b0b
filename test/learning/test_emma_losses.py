"""The losses of EMMA against plain loops and worked examples; what is missing changes nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is absent: make torch")

from any2any_ros.learning import emma  # noqa: E402

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6))


def batch(objects, modalities, dims, seed, missing=0.3):
    """Return z (B, M, D) float64 of any length, some of it NaN, and another batch, and classes (B,)."""
    draw = np.random.default_rng(seed)
    z, other = draw.normal(size=(2, objects, modalities, dims)) * draw.choice([0.01, 1, 30], (2, objects, 1, 1))
    for x in (z, other):
        x[draw.random((objects, modalities)) < missing] = np.nan
    return z, other, draw.integers(0, 3, objects)


def cos(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def there(vector):
    return not math.isnan(vector[0])


def geometric_by_loops(positive, negative, margin):
    losses = []
    for z, other in zip(positive.tolist(), negative.tolist(), strict=True):
        loss = sum(max(cos(a, b) - 1 + margin, 0) for a in z for b in other if there(a) and there(b))
        losses.append(loss + sum(max(1 - cos(a, b), 0) for i, a in enumerate(z) for b in z[i + 1 :]
                                 if there(a) and there(b)))  # fmt: skip
    return losses


def supervised_by_loops(z, labels, temperature):
    items = [(b, m) for b in range(z.shape[0]) for m in range(z.shape[1]) if there(z[b, m])]
    losses = np.zeros(z.shape[:2])
    for anchor in items:
        others = [item for item in items if item != anchor]
        alike = {item: math.exp(cos(z[anchor], z[item]) / temperature) for item in others}
        positives = [item for item in others if labels[item[0]] == labels[anchor[0]]]
        for item in positives:
            losses[anchor] -= math.log(alike[item] / sum(alike.values())) / len(positives)
    return losses


@pytest.mark.parametrize(
    ("positive", "negative", "loss"),
    [([(1, 0), (0, 1)], [(1, 0), (0.6, 0.8)], 1.6), ([(1, 0), (-1, 0)], [(0, 1), (0, -1)], 2.0)],
)
def test_geometric_loss_worked_by_hand(positive, negative, loss):
    found = emma.geometric_alignment_loss(*torch.tensor([positive, negative], dtype=torch.float64)[:, None])
    assert found.tolist() == pytest.approx([loss], abs=1e-12)


def test_supervised_loss_worked_by_hand():
    """Three unit vectors of one modality; the first two are of one class, at right angles to each other."""
    z = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]]], dtype=torch.float64)
    found = emma.supervised_contrastive_loss(z, torch.tensor([7, 7, 3]), temperature=1.0)
    lonely = 0.0  # nothing is of the third's class
    assert found[:, 0].tolist() == pytest.approx([math.log(1 + math.e), math.log(2), lonely])


def test_four_modalities_have_twenty_two_geometric_terms():
    z = torch.eye(8, dtype=torch.float64)
    same_as_negative = emma.geometric_alignment_loss(z[None, :4], z[None, :4], margin=1.0)
    assert float(same_as_negative) == pytest.approx(4 + 6)  # cos 1 with its own copy; 6 pairs at right angles
    every = emma.geometric_alignment_loss(z[None, :4], z[None, 4:], margin=2.0)
    assert float(every) == pytest.approx(16 + 6)


@settings(max_examples=60)
@given(SHAPES)
def test_geometric_loss_equals_plain_loops(shape):
    z, other, _ = batch(*shape)
    found = emma.geometric_alignment_loss(torch.tensor(z), torch.tensor(other), margin=0.4)
    np.testing.assert_allclose(found, geometric_by_loops(z, other, 0.4), atol=1e-8, rtol=0)


@settings(max_examples=60)
@given(SHAPES)
def test_contrastive_losses_equal_plain_loops(shape):
    z, _, labels = batch(*shape)
    found = emma.supervised_contrastive_loss(torch.tensor(z), torch.tensor(labels), temperature=0.07)
    np.testing.assert_allclose(found, supervised_by_loops(z, labels, 0.07), atol=1e-8, rtol=0)
    found = emma.contrastive_loss(torch.tensor(z), temperature=0.1)
    np.testing.assert_allclose(found, supervised_by_loops(z, range(len(z)), 0.1), atol=1e-8, rtol=0)


@settings(max_examples=30)
@given(SHAPES, st.floats(0, 5))
def test_emma_is_the_sum_of_both(shape, scale):
    z, other, labels = batch(*shape)
    found = emma.emma_loss(torch.tensor(z), torch.tensor(other), torch.tensor(labels), scale)
    contrastive = supervised_by_loops(z, labels, 0.07).sum(axis=1)
    np.testing.assert_allclose(found, geometric_by_loops(z, other, 0.4) + scale * contrastive, atol=1e-8, rtol=1e-9)


def test_a_modality_that_nobody_has_is_as_if_it_were_not_there():
    z, other, labels = (torch.tensor(x) for x in batch(5, 3, 4, seed=1, missing=0))
    for x in (z, other):
        x[:, 1] = torch.nan
    kept = [0, 2]
    torch.testing.assert_close(
        emma.geometric_alignment_loss(z, other), emma.geometric_alignment_loss(z[:, kept], other[:, kept])
    )
    for loss in (lambda x: emma.supervised_contrastive_loss(x, labels), emma.contrastive_loss):
        torch.testing.assert_close(loss(z)[:, kept], loss(z[:, kept]))
        assert (loss(z)[:, 1] == 0).all()


def test_a_class_with_one_member_learns_from_its_own_modalities():
    z = torch.tensor(batch(3, 2, 4, seed=2, missing=0)[0])
    loss = emma.supervised_contrastive_loss(z, torch.tensor([0, 0, 1]))
    assert (loss > 0).all()
    alone = emma.supervised_contrastive_loss(z[:, :1], torch.tensor([0, 0, 1]))
    assert float(alone[2]) == 0 and (alone[:2] > 0).all()


def test_perfect_heads_cost_nothing_and_swapping_costs():
    """Two classes at opposite ends of a line: nothing left to push or to pull."""
    end = torch.tensor([1.0, 0.0])
    good, bad = torch.stack([end, end])[None], torch.stack([-end, -end])[None]
    assert float(emma.geometric_alignment_loss(good, bad)) == 0
    assert float(emma.geometric_alignment_loss(good, good)) == pytest.approx(4 * 0.4)


@settings(max_examples=40)
@given(SHAPES, st.sampled_from(["zero", "nan", "tiny"]), st.sampled_from([torch.float32, torch.float64]))
def test_gradients_are_finite(shape, kind, dtype):
    """At zero vectors, with rows missing, with only one vector in the whole batch."""
    z, other, labels = (torch.tensor(x) for x in batch(*shape))
    special = {"zero": 0.0, "nan": torch.nan, "tiny": 1e-20}[kind]
    z[0] = special
    z = z.to(dtype).requires_grad_()
    emma.emma_loss(z, other.to(dtype), labels).sum().backward()
    missing = torch.isnan(z.detach()).any(-1)
    assert torch.isfinite(z.grad).all() and (z.grad[missing] == 0).all()


def test_gradients_equal_finite_differences():
    z, other, labels = (torch.tensor(x) for x in batch(3, 2, 3, seed=3, missing=0))
    z.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: emma.supervised_contrastive_loss(x, labels, 0.5), (z,))
    assert torch.autograd.gradcheck(lambda x: emma.geometric_alignment_loss(x, other), (z,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_result_has_the_input_s_type(dtype):
    z = torch.ones(2, 3, 4, dtype=dtype)
    labels = np.array([0, 1])  # not a tensor
    assert emma.geometric_alignment_loss(z, z).dtype == dtype and emma.geometric_alignment_loss(z, z).shape == (2,)
    assert emma.supervised_contrastive_loss(z, labels).dtype == dtype and emma.contrastive_loss(z).shape == (2, 3)
