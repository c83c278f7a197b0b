"""The loss by which CalMRL trains heads from incomplete data, on torch tensors.

z (B, M, D) are M modalities of B things; observed (B, M) bool says which were recorded. The others are imputed, or NaN:
then every term they have a part in is left out. Vectors are compared by their direction, whatever their length.
Gradients are finite everywhere, at zero vectors and where singular values are equal. METHODS: docs/calmrl.md.
"""

from __future__ import annotations

from typing import Any

from any2any_ros.learning.emma_losses import TINY, unit

Tensor = Any  # a torch.Tensor; torch is imported by who calls

SHARPNESS = 0.05  # temperature of the singular values
SEPARATION = 0.1  # temperature of the anchors, and of matching
MATCHING = 0.1  # weight of the matching loss
CANCELLED = 1e-12  # below it the modalities' sum says nothing of a sign
GAP = 1e-4  # eigenvalues of the Gram matrix (0 to M) nearer to each other than this are taken for equal


def calmrl_loss(z: Tensor, observed: Tensor, matching: float = MATCHING) -> Tensor:
    """Return (B,): alignment and separation of what was observed or imputed, and `matching` times that of the observed.

    The paper's matching loss is a classifier over all modalities together, which separate heads do not have: here every
    observed vector must find its own thing among the batch's, modality by modality.
    """
    import torch

    seen_alone = torch.where(observed[..., None], z, torch.nan)
    return alignment_loss(z) + separation_loss(z) + matching * matching_loss(seen_alone)


def alignment_loss(z: Tensor, temperature: float = SHARPNESS) -> Tensor:
    """Return (B,), -log softmax(sigma / temperature)_0: of a thing's modalities, stacked at length 1, the leading
    singular value should outweigh the others. It does not see signs: z and -z are aligned, which matching mends."""
    import torch

    vectors, seen = unit(z)
    sigma = torch.linalg.svdvals(vectors)  # (B, min(M, D)), falling; its gradient is finite everywhere
    # A missing modality is a row of zeros, which adds a singular value of 0 at the end, and no more.
    count = seen.sum(dim=1, keepdim=True).clamp(min=1)
    there = torch.arange(sigma.shape[1], device=z.device) < count
    logits = (sigma / temperature).masked_fill(~there, torch.finfo(z.dtype).min)
    return logits.logsumexp(dim=1) - logits[:, 0]


def separation_loss(z: Tensor, temperature: float = SEPARATION) -> Tensor:
    """Return (B,), -log softmax(U U^T / temperature) at the thing itself, for the batch's anchors U (B, D): no two
    things should have one direction. 0 for a thing without any modality."""
    import torch

    u = anchors(z)
    there = ~torch.isnan(z).any(dim=-1).all(dim=1)
    logits = (u @ u.mT / temperature).masked_fill(~there[None, :], torch.finfo(z.dtype).min)
    return torch.where(there, logits.logsumexp(dim=1) - logits.diagonal(), 0)


def matching_loss(z: Tensor, temperature: float = SEPARATION) -> Tensor:
    """Return (B,): each modality of a thing should find each other one of it among those of the batch.

    Mean over the ordered pairs of modalities that the thing has of -log softmax(cos / temperature) over the things that
    have the second; 0 where it has fewer than two.
    """
    import torch

    vectors, seen = unit(z)
    modalities = z.shape[1]
    logits = torch.einsum("iad,jbd->abij", vectors, vectors) / temperature
    logits = logits.masked_fill(~seen.mT[None, :, None, :], torch.finfo(z.dtype).min)
    loss = logits.logsumexp(dim=3) - logits.diagonal(dim1=2, dim2=3)  # (M, M, B)
    other = ~torch.eye(modalities, dtype=torch.bool, device=z.device)[..., None]
    both = seen.mT[:, None] & seen.mT[None, :] & other
    return torch.where(both, loss, 0).sum((0, 1)) / both.sum((0, 1)).clamp(min=1)


def anchors(z: Tensor) -> Tensor:
    """Return (B, D), of length 1: the leading left singular vector of each thing's modalities, signed like their sum;
    zeros for a thing without any (learning/anchors.py, on a batch).

    By the Gram matrix G (M, M), whose leading eigenvector v weighs the modalities. An eigenvector's gradient has the
    gaps between the eigenvalues in its denominator; where they vanish any v is right, and there it is damped to zero.
    """
    import torch

    vectors, _ = unit(z)
    gram = vectors @ vectors.mT
    with torch.no_grad():
        value, vector = torch.linalg.eigh(gram)  # rising
        lead, v = value[:, -1:], vector[:, :, -1:]
        gap = lead - value
        damped = gap / (gap.square() + GAP**2)
        inverse = vector * damped[:, None, :] @ vector.mT  # of lead I - G, without v and what equals it
    # (lead I - G)^+ (G v - lead v) is zero and has the gradient of v: one step of Newton's.
    v = v + inverse @ (gram @ v - lead[..., None] * v)
    u = (vectors.mT @ v).squeeze(-1)
    squared = u.square().sum(dim=1, keepdim=True)
    u = u * torch.where(squared > TINY, squared, 1).rsqrt()
    with torch.no_grad():
        along = (u * vectors.sum(dim=1)).sum(dim=1, keepdim=True)
        largest = u.gather(1, u.abs().argmax(dim=1, keepdim=True))
        agrees = torch.where(along.abs() > CANCELLED, along, largest)
    return torch.where(agrees >= 0, u, -u)
