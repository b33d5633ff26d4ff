"""Curvature of the mean squared error in the coordinates of training, from which rates are made."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from sklearn_sgdopt import _kernels
from sklearn_sgdopt._coordinates import WIDEST_WHITE, Coordinates
from sklearn_sgdopt._kernels import Samples
from sklearn_sgdopt._statistics import Moments, blocks

NARROWER = 32  # features up to which sizes of samples are faster without BLAS
KRYLOV = 6  # vectors that Lanczos' method keeps


def of_moments(moments: Moments, coordinates: Coordinates, features: int, *, intercept: bool) -> float:
    """Return L, twice the largest eigenvalue of the second moments, from covariances."""
    scale = coordinates.scale[:-1]
    matrix = moments.second[:features, :features] * np.multiply.outer(scale, scale)
    shift = (moments.mean[:features] - coordinates.center) * scale
    if coordinates.whitening is not None:
        matrix = coordinates.whitening @ matrix @ coordinates.whitening
        shift = coordinates.whitening @ shift
    matrix += np.multiply.outer(shift, shift)
    if intercept:
        matrix = np.block([[matrix, shift[:, None]], [shift[None], np.ones((1, 1))]])
    return 2.0 * norm_bound(matrix)


def norm_bound(matrix: np.ndarray) -> float:
    """Upper bound of the largest eigenvalue of a matrix like a covariance, within ``d ** (1 / 32)``.

    The Schatten norm ``trace(A ** 32) ** (1 / 32)``, from four squarings: faster than eigenvalues for the
    small matrices of a stream.
    """
    size = matrix.trace()
    if not size > 0.0:
        return 0.0
    power = matrix / size
    for _ in range(4):
        power = power @ power
    return float(size * np.vdot(power, power) ** (1.0 / 32.0))


def of_samples(samples: Samples, coordinates: Coordinates, *, intercept: bool) -> float:
    """Return L of all samples, from products with them: for wide or sparse X in scaled columns."""
    scale, center, total = coordinates.scale[:-1], coordinates.center, samples.total
    weight = np.ones(total) if samples.weight is None else samples.weight
    mass = samples.mean_weight * total
    offset = center * scale
    if total <= WIDEST_WHITE:  # products of samples with each other are no more then than covariances
        root = np.sqrt(weight / mass)
        if samples.is_sparse:
            rows = samples.X.multiply(scale).tocsr()
            gram = (rows @ rows.T).toarray()
        else:
            rows = samples.X * scale - offset
            gram = rows @ rows.T
        return 2.0 * norm_bound((gram + intercept) * np.multiply.outer(root, root))

    def product(vector: np.ndarray) -> np.ndarray:
        v = vector.ravel()
        image = samples.X @ (scale * v[:-1]) - offset @ v[:-1] + intercept * v[-1]
        pull = weight * image / mass
        return np.append(scale * (samples.X.T @ pull) - offset * pull.sum(), intercept * pull.sum())

    width = samples.features + 1
    start = np.random.default_rng(0).uniform(0.5, 1.5, width)  # always the same, orthogonal to nothing
    if not np.any(product(start)):
        return 0.0
    operator = LinearOperator((width, width), matvec=product, dtype=np.float64)
    if width <= KRYLOV:
        return 2.0 * float(np.linalg.eigvalsh(operator @ np.eye(width))[-1])
    # Lanczos' method comes from below, and to within a hundredth soon.
    return 2.02 * float(eigsh(operator, k=1, ncv=KRYLOV, v0=start, tol=1e-2, return_eigenvectors=False)[0])


def of_single(samples: Samples, coordinates: Coordinates, *, intercept: bool) -> tuple[float, float]:
    """Return L_max and L_mean, the largest and the mean curvature of single samples."""
    if coordinates.whitening is None:
        return _kernels.sample_sizes(samples, coordinates.record(), float(intercept))
    most = total = 0.0
    for sizes in _sizes(samples, coordinates, intercept=intercept):
        most, total = max(most, float(np.maximum.reduce(sizes))), total + float(np.add.reduce(sizes))
    return 2.0 * most, 2.0 * total / samples.total


def steepest(samples: Samples, coordinates: Coordinates, most: int, *, intercept: bool) -> np.ndarray:
    """Return up to so many samples of the largest curvature, in their order."""
    if samples.total <= most:
        return np.arange(samples.total)
    sizes = np.concatenate(list(_sizes(samples, coordinates, intercept=intercept)))
    return np.sort(np.argpartition(sizes, samples.total - most)[-most:])


def _sizes(samples: Samples, coordinates: Coordinates, *, intercept: bool) -> Iterator[np.ndarray]:
    """Yield half the curvature of single samples, by blocks."""
    if coordinates.whitening is not None and samples.features <= NARROWER:
        yield _kernels.white_sizes(samples, coordinates.record(), float(intercept))
        return
    for block in [slice(None)] if samples.is_sparse else blocks(samples):
        if samples.is_sparse:
            sizes = samples.X.power(2) @ coordinates.scale[:-1] ** 2 + intercept
        else:
            inside = coordinates.of(samples.X[block])
            sizes = np.einsum("ij,ij->i", inside, inside) + intercept
        if samples.weight is not None:
            sizes *= samples.weight[block] / samples.mean_weight
        yield sizes


def typical_of_moments(
    moments: Moments, coordinates: Coordinates, features: int, *, intercept: bool
) -> float:
    """Return L_mean, the trace of twice the second moments, from covariances or variances."""
    scale = coordinates.scale[:-1]
    shift = (moments.mean[:features] - coordinates.center) * scale
    if coordinates.whitening is None:
        size = moments.variance[:features] @ scale**2
    else:
        second = moments.second[:features, :features] * np.multiply.outer(scale, scale)
        shift = coordinates.whitening @ shift
        size = np.vdot(coordinates.whitening @ coordinates.whitening, second)
    return 2.0 * float(size + shift @ shift + intercept)
