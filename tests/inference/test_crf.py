"""The dense CRF against a computation over all pairs of pixels, in float64."""

import numpy as np
import pytest

from keras_seg.errors import InputError
from keras_seg.inference.crf import CRF, refine
from keras_seg.inference.lattice import lattice_filter

COLORS = np.array([[60, 120, 70], [190, 80, 60], [70, 80, 200]])


def noisy_scene(height, width, noise, seed=0):
    """A disk and a band, pixels of which a quarter are labeled wrong: (truth, image, probabilities)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    truth = ((x - 0.4 * width) ** 2 + (y - 0.5 * height) ** 2 < (0.3 * min(height, width)) ** 2).astype(int)
    truth[y > 0.75 * height] = 2
    image = np.rint(np.clip(COLORS[truth] + random.normal(0, noise, (height, width, 3)), 0, 255))
    label = np.where(random.random((height, width)) < 0.25, random.integers(0, 3, (height, width)), truth)
    return truth, image, np.where(np.arange(3) == label[..., None], 0.7, 0.15)


def exact(probabilities, image, crf):
    """Mean field with every pair of pixels, kernels normalized by the roots of their row sums."""
    height, width, classes = probabilities.shape
    place = np.stack(np.mgrid[:height, :width], axis=-1).reshape(-1, 2)
    color = image.reshape(-1, 3)
    far = np.square(place[:, None] - place[None]).sum(-1)
    different = np.square(color[:, None] - color[None]).sum(-1)
    appearance = np.exp(-far / (2 * crf.appearance_pixels**2) - different / (2 * crf.appearance_colors**2))
    smoothness = np.exp(-far / (2 * crf.smoothness_pixels**2))
    pairwise = 0
    for weight, kernel in ((crf.appearance_weight, appearance), (crf.smoothness_weight, smoothness)):
        root = 1 / np.sqrt(kernel.sum(1))
        pairwise = pairwise + weight * root[:, None] * kernel * root
    unary = np.log(probabilities).reshape(-1, classes)
    marginals = np.exp(unary)
    for _ in range(crf.steps):
        marginals = np.exp(unary + pairwise @ marginals)
        marginals /= marginals.sum(1, keepdims=True)
    return marginals.reshape(height, width, classes)


@pytest.mark.parametrize(("noise", "deviation"), [(2, 3.0), (12, 13.0), (20, 13.0)])
def test_marginals_are_nearly_those_over_all_pairs(noise, deviation):
    """The lattice is an approximation: its authors' filter is off by percents, the labels hardly ever."""
    _, image, probabilities = noisy_scene(30, 36, noise)
    crf = CRF(appearance_colors=deviation)
    found, expected = refine(probabilities, image, crf), exact(probabilities, image, crf)
    assert (found.argmax(-1) == expected.argmax(-1)).mean() >= 0.99
    assert np.abs(found - expected).mean() < 0.01


def test_without_appearance_it_is_exact():
    _, image, probabilities = noisy_scene(20, 24, 10)
    crf = CRF(appearance_weight=0.0)
    np.testing.assert_allclose(refine(probabilities, image, crf), exact(probabilities, image, crf), atol=1e-4)


def test_it_mends_a_noisy_labeling_along_the_edges():
    truth, image, probabilities = noisy_scene(60, 80, 10)
    before = (probabilities.argmax(-1) == truth).mean()
    after = (refine(probabilities, image, CRF(appearance_colors=13.0)).argmax(-1) == truth).mean()
    assert before < 0.85 and after > 0.99


def test_without_pairwise_energy_nothing_changes():
    _, image, probabilities = noisy_scene(10, 12, 5)
    crf = CRF(appearance_weight=0.0, smoothness_weight=0.0)
    np.testing.assert_allclose(refine(probabilities, image, crf), probabilities, atol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_the_lattice_averages_nearly_as_all_pairs(dimensions):
    random = np.random.default_rng(0)
    features = random.uniform(0, 3, (1500, dimensions))
    values = np.concatenate([random.random((1500, 2)) + features[:, :1], np.ones((1500, 1))], axis=1)
    expected = np.exp(-np.square(features[:, None] - features[None]).sum(-1) / 2) @ values
    found = lattice_filter(features)(values)
    means = (each[:, :2] / each[:, 2:] for each in (found, expected))
    assert np.abs(np.divide(*means) - 1).mean() < 0.02


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match="image must be"):
        refine(np.full((4, 5, 2), 0.5), np.zeros((5, 4, 3)))


def test_what_is_out_of_range_is_one_line():
    with pytest.raises(InputError, match="appearance_pixels must be above 0, received 0"):
        CRF(appearance_pixels=0)
