"""The loss with which CalMRL trains heads on incomplete data, on torch tensors.

z (B, M, D) are M modalities of B objects; observed (B, M) bool says which were recorded. The others are imputed, or
NaN: then every term with them is left out. Vectors are compared by their direction, whatever their length. Gradients
are finite everywhere, also at zero vectors and where singular values are equal. Paper: docs/calmrl.md.
"""

from __future__ import annotations

from typing import Any

from any2any_ros.learning.emma_losses import TINY, unit

Tensor = Any  # a torch.Tensor; only the functions import torch

ALIGNMENT_TEMPERATURE = 0.05  # of the singular values
SEPARATION_TEMPERATURE = 0.1  # of the anchors, and of matching
MATCHING_WEIGHT = 0.1
CANCELLED = 1e-12  # a sum of the modalities shorter than this has no sign
GAP = 1e-4  # eigenvalues of the Gram matrix (0 to M) that are nearer to each other count as equal


def calmrl_loss(z: Tensor, observed: Tensor, matching: float = MATCHING_WEIGHT) -> Tensor:
    """Return (B,): alignment and separation loss of all vectors + `matching` times the matching loss of observed ones.

    The paper's matching loss is a classifier over all modalities together, which separate heads do not have. Here,
    every observed vector must find its own object among those of the batch, modality by modality.
    """
    import torch

    recorded = torch.where(observed[..., None], z, torch.nan)
    return alignment_loss(z) + separation_loss(z) + matching * matching_loss(recorded)


def alignment_loss(z: Tensor, temperature: float = ALIGNMENT_TEMPERATURE) -> Tensor:
    """Return (B,), -log softmax(sigma / temperature)_0, for the singular values sigma of an object's modalities,
    stacked at length 1: the leading one should outweigh the others.

    The loss does not see signs, so z and -z are aligned; the matching loss corrects that.
    """
    import torch

    vectors, present = unit(z)
    sigma = torch.linalg.svdvals(vectors)  # (B, min(M, D)), falling; its gradient is finite everywhere
    # A missing modality is a row of zeros, which only adds a singular value of 0 at the end.
    count = present.sum(dim=1, keepdim=True).clamp(min=1)
    counts = torch.arange(sigma.shape[1], device=z.device) < count
    logits = (sigma / temperature).masked_fill(~counts, torch.finfo(z.dtype).min)
    return logits.logsumexp(dim=1) - logits[:, 0]


def separation_loss(z: Tensor, temperature: float = SEPARATION_TEMPERATURE) -> Tensor:
    """Return (B,), -log softmax(U U^T / temperature) at the object itself, for the batch's anchors U (B, D): no two
    objects should have the same direction. 0 for an object without any modality."""
    import torch

    u = anchors(z)
    present = ~torch.isnan(z).any(dim=-1).all(dim=1)
    logits = (u @ u.mT / temperature).masked_fill(~present[None, :], torch.finfo(z.dtype).min)
    return torch.where(present, logits.logsumexp(dim=1) - logits.diagonal(), 0)


def matching_loss(z: Tensor, temperature: float = SEPARATION_TEMPERATURE) -> Tensor:
    """Return (B,): each modality of an object should find each other modality of it among those of the batch.

    The mean, over the ordered pairs of modalities that the object has, of -log softmax(cos / temperature) over the
    objects that have the second one; 0 for an object with fewer than two modalities.
    """
    import torch

    vectors, present = unit(z)
    modalities = z.shape[1]
    logits = torch.einsum("iad,jbd->abij", vectors, vectors) / temperature
    logits = logits.masked_fill(~present.mT[None, :, None, :], torch.finfo(z.dtype).min)
    loss = logits.logsumexp(dim=3) - logits.diagonal(dim1=2, dim2=3)  # (M, M, B)
    other = ~torch.eye(modalities, dtype=torch.bool, device=z.device)[..., None]
    both = present.mT[:, None] & present.mT[None, :] & other
    return torch.where(both, loss, 0).sum((0, 1)) / both.sum((0, 1)).clamp(min=1)


def anchors(z: Tensor) -> Tensor:
    """Return (B, D), of length 1: the leading left singular vector of each object's modalities, with the sign of their
    sum; zeros for an object without any (learning/anchors.py, for a batch).

    It is computed from the Gram matrix G (M, M), whose leading eigenvector v weighs the modalities. The gradient of an
    eigenvector has the gaps between the eigenvalues in its denominator. Where a gap vanishes, any v is right, and the
    gradient is damped to zero.
    """
    import torch

    vectors, _ = unit(z)
    gram = vectors @ vectors.mT
    with torch.no_grad():
        value, vector = torch.linalg.eigh(gram)  # rising
        lead, v = value[:, -1:], vector[:, :, -1:]
        gap = lead - value
        damped = gap / (gap.square() + GAP**2)
        inverse = (
            vector * damped[:, None, :] @ vector.mT
        )  # of lead I - G, without v and eigenvectors of equal eigenvalues
    # (lead I - G)^+ (G v - lead v) is zero and has the gradient of v: one Newton step.
    v = v + inverse @ (gram @ v - lead[..., None] * v)
    u = (vectors.mT @ v).squeeze(-1)
    squared = u.square().sum(dim=1, keepdim=True)
    u = u * torch.where(squared > TINY, squared, 1).rsqrt()
    with torch.no_grad():
        along = (u * vectors.sum(dim=1)).sum(dim=1, keepdim=True)
        largest = u.gather(1, u.abs().argmax(dim=1, keepdim=True))
        agrees = torch.where(along.abs() > CANCELLED, along, largest)
    return torch.where(agrees >= 0, u, -u)
