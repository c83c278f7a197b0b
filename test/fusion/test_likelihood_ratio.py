"""The likelihood ratio against a sum of lines, and against ratios that are known."""

import numpy as np
import pytest
from fusion_cases import fitted, loop, random_case

from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio


@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_ratio_is_the_sum_of_lines(seed):
    fusion, (similarity, _) = fitted(LikelihoodRatio), random_case(seed)
    expected = loop(similarity, lambda v, _, pair: fusion.slope[pair] * v + fusion.intercept[pair], sum)
    np.testing.assert_allclose(fusion.score(similarity), expected, atol=1e-9)
    p = fusion.pair_probability(similarity)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-fusion.evidence(similarity))), atol=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_the_likelihood_ratio_of_two_normals_is_found(share):
    """Whatever share of the calibration pairs is right: the prior is taken out."""
    draw = np.random.default_rng(0)
    positive = draw.random((200, 400)) < share
    apart, sigma = 0.8, 0.5
    theta = np.where(positive, apart, 0.0) + sigma * draw.normal(size=positive.shape)
    fusion = LikelihoodRatio.fit(theta[..., None, None], positive)
    assert fusion.slope.item() == pytest.approx(apart / sigma**2, rel=0.03)
    assert fusion.intercept.item() == pytest.approx(-(apart**2) / (2 * sigma**2), abs=0.06)


def test_the_scale_of_a_similarity_does_not_matter():
    similarity, positive = random_case(6, 40, 30)
    scaled_up = similarity * [[1000.0], [0.001]] + 7
    one, other = (LikelihoodRatio.fit(s, positive).score(s) for s in (similarity, scaled_up))
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("useless", ["constant", "never seen", "seen once", "backwards"])
def test_a_pair_that_knows_nothing_gets_no_weight(useless):
    similarity, positive = random_case(7, 40, 30, missing=0)
    pair = similarity[..., 1, 2]
    if useless == "constant":
        pair[:] = 0.7
    elif useless == "backwards":
        pair[:] = 0.01 * pair - positive
    else:
        pair[:] = np.nan
        pair[0, :1] = 0.5 if useless == "seen once" else np.nan
    fusion = LikelihoodRatio.fit(similarity, positive)
    assert fusion.slope[1, 2] == fusion.intercept[1, 2] == 0
    assert (fusion.slope.ravel()[:5] > 0).all()
