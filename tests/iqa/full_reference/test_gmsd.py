import numpy as np

from vision_jax.iqa.full_reference.gmsd import gmsd


def test_each_is_the_mean_over_the_channels_alone():
    one, two = np.random.default_rng(0).random((2, 33, 40, 3), np.float32)
    alone = [gmsd(one[..., c:c + 1], two[..., c:c + 1]) for c in range(3)]
    np.testing.assert_allclose(gmsd(one, two, colour='each'), np.mean(alone), rtol=1e-6)


def test_map_has_the_score_as_its_deviation():
    one, two = np.random.default_rng(1).random((2, 33, 40, 3), np.float32)
    score, similarity = gmsd(one, two, return_map=True)
    assert similarity.shape == (17, 20)
    np.testing.assert_allclose(score, np.std(similarity, ddof=1), rtol=1e-5)
