"""The best available pair against a loop, and its order of the pairs against a count."""

import numpy as np
import pytest
from fusion_cases import SHAPE, fitted, random_case

from any2any_ros.fusion.best_available import BestAvailable


@pytest.mark.parametrize("seed", range(5))
def test_best_available_listens_to_one_pair_only(seed):
    fusion, (similarity, _) = fitted(BestAvailable), random_case(seed)
    pairs = sorted(np.ndindex(*SHAPE), key=lambda pair: -fusion.quality[pair])
    expected = np.full(similarity.shape[:2], np.nan)
    for q, r in np.ndindex(*expected.shape):
        best = next((pair for pair in pairs if not np.isnan(similarity[q, r][pair])), None)
        if best is not None:
            expected[q, r] = fusion.slope[best] * similarity[q, r][best] + fusion.intercept[best]
    np.testing.assert_allclose(fusion.score(similarity), expected, atol=1e-12)


def test_the_best_pair_is_the_one_of_the_largest_area_under_the_curve():
    similarity, positive = random_case(0, 30, 20)
    quality = BestAvailable.fit(similarity, positive).quality
    for q, r in np.ndindex(*SHAPE):
        seen = ~np.isnan(similarity[..., q, r])
        right, wrong = (similarity[..., q, r][seen & flags] for flags in (positive, ~positive))
        if right.size == 0:
            assert quality[q, r] == 0
            continue
        wins = (right[:, None] > wrong).mean() + 0.5 * (right[:, None] == wrong).mean()
        assert quality[q, r] == pytest.approx(wins)
