"""The losses of EMMA and of the methods that its paper compares, on torch tensors; also learning.emma.<loss>.

z (B, M, D) are M modalities of B objects. A NaN row was not recorded: every term with it is left out. Vectors are
compared by their cosine, whatever their length. The cosine with a zero vector is 0, and its gradient is finite.
"""

from __future__ import annotations

from typing import Any

Tensor = Any  # a torch.Tensor; only the functions import torch

MARGIN = 0.4
TINY = 1e-24  # squared length below which a vector has no direction


def geometric_alignment_loss(positive: Tensor, negative: Tensor, margin: float = MARGIN) -> Tensor:
    """Return (B,) for objects `positive` (B, M, D) and one of another class each, `negative` (B, M, D).

    The sum of g(z+, z-) = max(cos - 1 + margin, 0) over all pairs of modalities, and of h(z+, z+) = max(1 - cos, 0)
    over each two modalities of the positive: (3 M^2 - M) / 2 terms (Eq. 5-7). The signs of Eq. 4 are wrong
    (docs/emma.md).
    """
    z, present = unit(positive)
    other, other_present = unit(negative)
    near = (z @ other.mT - 1 + margin).clamp(min=0)  # (B, M, M)
    apart = (1 - z @ z.mT).clamp(min=0)
    comparable = present[:, :, None] & other_present[:, None, :]
    together = (present[:, :, None] & present[:, None, :]).triu(diagonal=1)
    return (near * comparable).sum((1, 2)) + (apart * together).sum((1, 2))


def supervised_contrastive_loss(z: Tensor, labels: Any, temperature: float = 0.07) -> Tensor:
    """Return (B, M) for classes `labels` (B,): each vector should be nearer to all of its class than to the others.

    The positives are the other vectors of the class, other modalities of the same object included. The loss is the mean
    of their -log softmax over all vectors but the vector itself (Khosla et al. 2020, L_out); 0 without a positive.
    """
    import torch

    objects, modalities, _ = z.shape
    vectors, present = unit(z)
    vectors, present = vectors.flatten(0, 1), present.flatten()
    label = torch.as_tensor(labels, device=z.device).repeat_interleave(modalities)
    others = present[None, :] & ~torch.eye(len(present), dtype=torch.bool, device=z.device)
    logits = (vectors @ vectors.T / temperature).masked_fill(~others, torch.finfo(z.dtype).min)
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = others & present[:, None] & (label[:, None] == label[None, :])
    # where, not a product: a masked logit minus its logsumexp may be infinite
    loss = -torch.where(positive, log_share, 0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return loss.reshape(objects, modalities)


def contrastive_loss(z: Tensor, temperature: float = 0.1) -> Tensor:
    """Return (B, M), NT-Xent: the supervised contrastive loss with one class for every object (Chen et al. 2020)."""
    import torch

    return supervised_contrastive_loss(z, torch.arange(len(z)), temperature)


def emma_loss(positive: Tensor, negative: Tensor, labels: Any, scale: float = 1.0) -> Tensor:
    """Return (B,): the geometric loss + `scale` times the supervised contrastive loss, summed over modalities."""
    return geometric_alignment_loss(positive, negative) + scale * supervised_contrastive_loss(positive, labels).sum(1)


def unit(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return z (..., M, D) scaled to length 1, zeros where missing, and which vectors are present (..., M)."""
    import torch

    present = ~torch.isnan(z).any(dim=-1)
    z = torch.where(present[..., None], z, 0)
    squared = z.square().sum(dim=-1, keepdim=True)
    return z * torch.where(squared > TINY, squared, 1).rsqrt(), present
