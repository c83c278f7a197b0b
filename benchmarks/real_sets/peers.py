"""Other people's methods that run here without training."""

from __future__ import annotations

from real_sets import peer_map_closures, peer_pictures
from real_sets.methods import Method

ALL: tuple[Method, ...] = (peer_map_closures.PEER, *peer_pictures.PEERS)
