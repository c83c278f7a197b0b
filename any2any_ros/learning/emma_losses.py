"""The losses of EMMA and of the rivals in its paper, on torch tensors; reached as methods.emma.<loss>.

z (B, M, D) are M modalities of B objects. A NaN row is one that was not recorded: every term it has a part in is left
out. Vectors are compared by their cosine, whatever their length. A zero vector is like nothing; its gradient is finite.
"""

from __future__ import annotations

from typing import Any

Tensor = Any  # a torch.Tensor; torch is imported by who calls

MARGIN = 0.4
TINY = 1e-24  # squared length below which a vector has no direction


def geometric_alignment_loss(positive: Tensor, negative: Tensor, margin: float = MARGIN) -> Tensor:
    """Return (B,) for objects `positive` (B, M, D) and one of another class each, `negative` (B, M, D).

    The sum over all pairs of modalities of g(z+, z-) = max(cos - 1 + margin, 0), and over each two of the positive's of
    h(z+, z+) = max(1 - cos, 0): (3 M^2 - M) / 2 terms (Eq. 5-7; the signs of Eq. 4 are wrong: docs/emma.md).
    """
    z, seen = unit(positive)
    other, other_seen = unit(negative)
    near = (z @ other.mT - 1 + margin).clamp(min=0)  # (B, M, M)
    apart = (1 - z @ z.mT).clamp(min=0)
    comparable = seen[:, :, None] & other_seen[:, None, :]
    together = (seen[:, :, None] & seen[:, None, :]).triu(diagonal=1)
    return (near * comparable).sum((1, 2)) + (apart * together).sum((1, 2))


def supervised_contrastive_loss(z: Tensor, labels: Any, temperature: float = 0.07) -> Tensor:
    """Return (B, M) for classes `labels` (B,): each vector should be nearer to all of its class than to the others.

    Positives are the class's other vectors, other modalities of the same object included: the mean of their -log
    softmax over everything but the vector itself (Khosla et al. 2020, L_out). 0 where nothing is of its class.
    """
    import torch

    objects, modalities, _ = z.shape
    vectors, seen = unit(z)
    vectors, seen = vectors.flatten(0, 1), seen.flatten()
    label = torch.as_tensor(labels, device=z.device).repeat_interleave(modalities)
    others = seen[None, :] & ~torch.eye(len(seen), dtype=torch.bool, device=z.device)
    logits = (vectors @ vectors.T / temperature).masked_fill(~others, torch.finfo(z.dtype).min)
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = others & seen[:, None] & (label[:, None] == label[None, :])
    # where, not a product: a masked logit less its logsumexp may be infinite
    loss = -torch.where(positive, log_share, 0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return loss.reshape(objects, modalities)


def contrastive_loss(z: Tensor, temperature: float = 0.1) -> Tensor:
    """Return (B, M), NT-Xent: as the supervised one, every object a class of its own (Chen et al. 2020)."""
    import torch

    return supervised_contrastive_loss(z, torch.arange(len(z)), temperature)


def emma_loss(positive: Tensor, negative: Tensor, labels: Any, scale: float = 1.0) -> Tensor:
    """Return (B,): the geometric loss and, `scale` times, the supervised contrastive one, summed over modalities."""
    return geometric_alignment_loss(positive, negative) + scale * supervised_contrastive_loss(positive, labels).sum(1)


def unit(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return z (..., M, D) at length 1, zeros where missing, and which are there (..., M)."""
    import torch

    seen = ~torch.isnan(z).any(dim=-1)
    z = torch.where(seen[..., None], z, 0)
    squared = z.square().sum(dim=-1, keepdim=True)
    return z * torch.where(squared > TINY, squared, 1).rsqrt(), seen
