"""CalMRL's loss for heads against plain loops and NumPy; what is missing changes nothing; gradients are finite."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is absent: make torch")

from any2any_ros.learning import calmrl  # noqa: E402
from any2any_ros.learning import calmrl_losses as losses  # noqa: E402

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5), st.integers(0, 10**6))


def batch(things, modalities, dims, seed, missing=0.3):
    """Return z (B, M, D) float64 of any length, some of it NaN, and which of it was observed."""
    draw = np.random.default_rng(seed)
    z = draw.normal(size=(things, modalities, dims)) * draw.choice([0.01, 1, 30], (things, modalities, 1))
    z[draw.random((things, modalities)) < missing] = np.nan
    return z, ~np.isnan(z[..., 0]) & (draw.random((things, modalities)) < 0.6)


def units(row):
    """Return the vectors of length 1 that a thing has (k, D)."""
    return [v / math.sqrt(sum(x * x for x in v)) for v in row if not math.isnan(v[0])]


def surprise(scores, right, temperature):
    """Return -log softmax."""
    return -scores[right] / temperature + math.log(sum(math.exp(s / temperature) for s in scores))


def alignment_by_loops(z):
    found = []
    for row in z:
        stacked = units(row)
        sigma = np.linalg.svd(np.array(stacked), compute_uv=False).tolist() if stacked else []
        found.append(surprise(sigma, 0, 0.05) if stacked else 0)
    return found


def separation_by_loops(z):
    anchor = [calmrl.anchor(np.array(u)) if (u := units(row)) else None for row in z]
    there = [i for i, u in enumerate(anchor) if u is not None]
    return [
        surprise([float(u @ anchor[j]) for j in there], there.index(i), 0.1) if u is not None else 0
        for i, u in enumerate(anchor)
    ]


def matching_by_loops(z):
    things, modalities = z.shape[:2]
    there = {(i, m): units(z[i, [m]])[0] for i in range(things) for m in range(modalities)
             if not math.isnan(z[i, m, 0])}  # fmt: skip
    found = []
    for i in range(things):
        terms = []
        for a, b in ((a, b) for a in range(modalities) for b in range(modalities) if a != b):
            if (i, a) in there and (i, b) in there:
                others = [j for j in range(things) if (j, b) in there]
                scores = [sum(there[i, a] * there[j, b]) for j in others]
                terms.append(surprise(scores, others.index(i), 0.1))
        found.append(sum(terms) / len(terms) if terms else 0)
    return found


@settings(max_examples=60, deadline=None)
@given(SHAPES)
def test_every_part_and_their_sum_equal_plain_loops(shape):
    z, observed = batch(*shape)
    x = torch.tensor(z)
    alone = np.where(observed[..., None], z, np.nan)
    parts = alignment_by_loops(z), separation_by_loops(z), matching_by_loops(alone)
    np.testing.assert_allclose(losses.alignment_loss(x), parts[0], atol=1e-8, rtol=0)
    np.testing.assert_allclose(losses.separation_loss(x), parts[1], atol=1e-8, rtol=0)
    np.testing.assert_allclose(losses.matching_loss(torch.tensor(alone)), parts[2], atol=1e-8, rtol=0)
    whole = np.array(parts[0]) + parts[1] + 0.1 * np.array(parts[2])
    np.testing.assert_allclose(losses.calmrl_loss(x, torch.tensor(observed)), whole, atol=1e-8, rtol=0)


def test_alignment_worked_by_hand():
    """At right angles both singular values are 1; of one direction they are sqrt 2 and 0."""
    z = torch.tensor([[[3.0, 0.0], [0.0, 0.1]], [[2.0, 0.0], [5.0, 0.0]]], dtype=torch.float64)
    right, same = math.log(2), math.log(1 + math.exp(-math.sqrt(2) / 0.05))
    assert losses.alignment_loss(z).tolist() == pytest.approx([right, same])


def test_alignment_does_not_see_signs_and_matching_does():
    z = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]], dtype=torch.float64)
    assert losses.alignment_loss(z)[0] == pytest.approx(float(losses.alignment_loss(z)[1]))
    assert losses.matching_loss(z)[0] > 5 * losses.matching_loss(z)[1]


def test_imputed_vectors_are_aligned_and_separated_but_not_matched():
    z, _ = batch(5, 3, 4, seed=1, missing=0)
    observed = torch.ones(5, 3, dtype=torch.bool)
    observed[2, 1] = False
    x = torch.tensor(z, requires_grad=True)
    losses.matching_loss(torch.where(observed[..., None], x, torch.nan)).sum().backward()
    assert (x.grad[2, 1] == 0).all() and (x.grad[2, 0] != 0).any()
    for part in (losses.alignment_loss, losses.separation_loss):
        x.grad = None
        part(x).sum().backward()
        assert (x.grad[2, 1] != 0).any()


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.sampled_from(["zero", "equal", "right angles", "opposite", "nothing", "one"]))
def test_gradients_are_finite_wherever_vectors_lie(shape, kind):
    z, observed = batch(*shape)
    things, modalities, dims = z.shape
    if kind == "zero":
        z[0] = 0
    elif kind == "equal":
        z[:] = z[0, 0] if not np.isnan(z[0, 0]).any() else 1.0
    elif kind == "right angles":
        z[0] = np.eye(modalities, dims)  # all singular values are equal
    elif kind == "opposite":
        z[0] = np.where(np.arange(modalities)[:, None] % 2, -1.0, 1.0) * np.ones(dims)
    else:
        z[0 if kind == "one" else slice(None)] = np.nan
    for kind_of_number in (torch.float64, torch.float32):
        x = torch.tensor(z, dtype=kind_of_number, requires_grad=True)
        found = losses.calmrl_loss(x, torch.tensor(observed & ~np.isnan(z[..., 0])))
        assert torch.isfinite(found).all() and found.shape == (things,)
        found.sum().backward()
        assert torch.isfinite(x.grad).all()
        assert (x.grad[torch.isnan(x)] == 0).all()


def test_gradients_are_those_of_finite_differences():
    z, observed = batch(4, 3, 5, seed=3, missing=0)
    x = torch.tensor(z / np.linalg.norm(z, axis=2, keepdims=True), requires_grad=True)
    flags = torch.tensor(observed)
    assert torch.autograd.gradcheck(lambda v: losses.calmrl_loss(v, flags), (x,), rtol=1e-3, atol=1e-5)


def test_what_is_missing_changes_nothing():
    """A modality that nobody has, and a thing that has none, leave every other loss as it was."""
    z, observed = batch(4, 3, 5, seed=4, missing=0.2)
    wide = np.full((6, 4, 5), np.nan)
    wide[:4, :3] = z
    flags = np.zeros((6, 4), dtype=bool)
    flags[:4, :3] = observed
    found = losses.calmrl_loss(torch.tensor(wide), torch.tensor(flags))
    expected = losses.calmrl_loss(torch.tensor(z), torch.tensor(observed))
    np.testing.assert_allclose(found[:4], expected, atol=1e-12)
    assert (found[4:] == 0).all()


def test_descent_gives_every_thing_a_direction_of_its_own():
    z = np.random.default_rng(5).normal(size=(6, 3, 8))
    x = torch.tensor(z, requires_grad=True)
    everything = torch.ones(6, 3, dtype=torch.bool)
    optimiser = torch.optim.Adam([x], lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        losses.calmrl_loss(x, everything).mean().backward()
        optimiser.step()
    unit = torch.nn.functional.normalize(x.detach(), dim=2)
    own = torch.einsum("iad,ibd->iab", unit, unit)
    others = torch.einsum("iad,jbd->ijab", unit, unit)[~torch.eye(6, dtype=torch.bool)]
    assert own.min() > 0.5 and others.max() < 0.4
