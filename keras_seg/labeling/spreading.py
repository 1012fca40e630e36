"""Spreads a ranking over clusters of images, so that not twenty alike come first.

The clusters are those of k-means with k-means++ (Arthur and Vassilvitskii, 2007), of the encoder's coarsest
map averaged over the image.
"""

import cv2
import numpy as np
from keras import ops

from keras_seg.encoders import encoder_model

PIXELS = 1 << 16  # Of the image that the encoder sees; it is made smaller where it has more.


class Features:
    """The encoder of a network as a function from an image to one vector.

    Args:
        network: `keras.Model` of this library.

    Raises:
        InputError: The network does not say which of its layers are the encoder.
    """

    def __init__(self, network):
        self._encoder = encoder_model(network)

    def __call__(self, image):
        """Returns the mean over the image of the coarsest map's channels, float32 [D].

        Args:
            image: [H, W, C], in 0..255 where it is RGB.
        """
        scale = min(1.0, (PIXELS / (image.shape[0] * image.shape[1])) ** 0.5)
        if scale < 1 and None in self._encoder.inputs[0].shape[1:3]:
            size = [max(round(side * scale), 1) for side in image.shape[1::-1]]
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], -1)
        maps = self._encoder(image[None].astype(np.float32), training=False)
        return ops.convert_to_numpy(ops.mean(ops.cast(maps, "float32"), axis=(1, 2)))[0]


def cluster(features, count, seed=0):
    """Groups vectors by k-means.

    Args:
        features: [N, D]; each of the D is scaled to variance 1.
        count: clusters at most.
        seed: of the first centers.

    Returns:
        int [N], the cluster of each.
    """
    # Imported here since SciPy takes its time.
    from scipy.cluster.vq import kmeans2

    features = np.asarray(features, np.float64)
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    count = min(count, len(np.unique(scaled, axis=0)))  # What is equal cannot be told apart.
    if count < 2:
        return np.zeros(len(features), int)
    return kmeans2(scaled, count, minit="++", seed=np.random.default_rng(seed), missing="warn")[1]


def spread_order(scores, clusters):
    """Orders images by score, in turns: the best of each cluster, then the second best of each, and so on.

    Args:
        scores: [N], the higher the earlier.
        clusters: int [N].

    Returns:
        int [N], indices of the images.
    """
    scores, clusters = np.asarray(scores), np.asarray(clusters)
    by_score = np.argsort(-scores, kind="stable")
    turns, seen = np.empty(len(scores), int), {}
    for index in by_score:
        turns[index] = seen[clusters[index]] = seen.get(clusters[index], -1) + 1
    return by_score[np.argsort(turns[by_score], kind="stable")]
