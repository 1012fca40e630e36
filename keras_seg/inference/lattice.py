"""Gaussian filtering in many dimensions on the permutohedral lattice: Adams, Baek and Davis, 2010.

"Fast High-Dimensional Filtering Using the Permutohedral Lattice", Computer Graphics Forum 29(2).
"""

import numpy as np
from scipy import sparse


def lattice_filter(features):
    """Prepares `y_i = sum_j exp(-|f_i - f_j|^2 / 2) x_j` for many x, in time linear in the points.

    It is an approximation, and up to a factor that is nearly the same for all points.

    The features are laid into the lattice of d-dimensional simplices; values are spread to the corners of the
    simplex around their point (splat), blurred along each lattice direction, and gathered again (slice).

    Args:
        features: float [N, d], in units of the Gaussian's standard deviation.

    Returns:
        Function from [N, C] to float32 [N, C].
    """
    points, dimensions = features.shape
    keys, weights = _simplices(np.asarray(features, np.float64))
    codes, steps = _codes(keys.reshape(-1, dimensions))
    corners, index = np.unique(codes, return_inverse=True)
    rows = np.repeat(np.arange(points), dimensions + 1)
    shape = (points, len(corners))
    gather = sparse.csr_matrix((weights.ravel().astype(np.float32), (rows, index.ravel())), shape)
    spread = gather.T.tocsr()
    blurs = [_blur(corners, step) for step in steps]

    def apply(values):
        x = spread @ np.asarray(values, np.float32)
        for blur in blurs:
            x = blur @ x
        return gather @ x

    return apply


def _simplices(features):
    """The corners of each point's simplex, int64 [N, d + 1, d], and its barycentric weights [N, d + 1]."""
    points, d = features.shape
    # Onto the hyperplane of d + 1 coordinates that sum to zero (section 3.1), so scaled that the blur of the
    # lattice has a standard deviation of 1.
    axes = np.arange(1, d + 1)
    scaled = features * (d + 1) * np.sqrt(2 / 3) / np.sqrt(axes * (axes + 1))
    tails = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]
    elevated = np.concatenate([tails, np.zeros((points, 1))], axis=1)
    elevated[:, 1:] -= axes * scaled

    # The nearest point whose coordinates are multiples of d + 1, and from it the simplex (section 3.2): the
    # order of the differences tells which. Multiples that do not sum to zero are corrected where they are
    # furthest off.
    nearest = np.round(elevated / (d + 1)).astype(np.int64)
    excess = nearest.sum(axis=1, keepdims=True)
    order = np.argsort(-(elevated - nearest * (d + 1)), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(d + 1)[None], axis=1)
    rank += excess
    wrap = (rank < 0).astype(np.int64) - (rank > d)
    rank += wrap * (d + 1)
    nearest += wrap

    difference = elevated / (d + 1) - nearest
    falling = np.take_along_axis(difference, np.argsort(rank, axis=1), axis=1)
    weights = np.empty((points, d + 1))
    weights[:, 1:] = (falling[:, :-1] - falling[:, 1:])[:, ::-1]
    weights[:, 0] = 1 - weights[:, 1:].sum(axis=1)

    corner = np.arange(d + 1)[None, :, None]
    steps = corner - (d + 1) * (rank[:, None, :] > d - corner)
    # The last coordinate follows from the others.
    return (nearest[:, None, :] * (d + 1) + steps)[..., :-1], weights


def _codes(keys):
    """One number for each corner, and how it changes along each of the d + 1 lattice directions."""
    d = keys.shape[1]
    # A margin of one step, so that no neighbor is taken for another corner.
    low = keys.min(axis=0) - (d + 1)
    extent = keys.max(axis=0) - low + (d + 2)
    places = np.concatenate([np.cumprod(extent[:0:-1])[::-1], [1]])
    directions = (d + 1) * np.eye(d + 1, d, dtype=np.int64) - 1
    return (keys - low) @ places, directions @ places


def _blur(corners, step):
    """Sparse matrix of the weights 1/2, 1, 1/2 along one direction, between the corners that exist."""
    count = len(corners)
    place = np.minimum(np.searchsorted(corners, corners + step), count - 1)
    here = np.flatnonzero(corners[place] == corners + step)
    half = np.full(len(here), 0.5, np.float32)
    forward = sparse.csr_matrix((half, (here, place[here])), (count, count))
    return (sparse.identity(count, np.float32, "csr") + forward + forward.T).tocsr()
