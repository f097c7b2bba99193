"""What is lost, on average, by keeping an arm for good: E[highest mean] - E[the arm's mean], under the posterior."""

import numpy as np

from backend.domain import FloatArray
from backend.inference.quadrature import (
    Arms,
    Family,
    distinct_arms,
    hazards_and_log_cdfs,
    nodes_and_weights,
    shared_edges,
)


def expected_loss(
    family: Family, first: FloatArray, second: FloatArray, means: FloatArray
) -> FloatArray:
    """E[max over j of theta_j] - E[theta_a] for each arm a.

    For the arm b with the highest posterior mean it is the integral of F_b(x) (1 - product over j != b of F_j(x)) dx,
    which is not negative and loses no digits, however small; every other arm adds the distance of its mean from b's.

    Args:
        first, second: parameters of ``family``, shape (n_arms,), n_arms >= 1.
        means: posterior means, shape (n_arms,), consistent with the parameters.
    Returns:
        Shape (n_arms,), non-negative, in units of the reward.
    Source: the expected loss of Chris Stucchio, "Bayesian A/B testing at VWO" (2015), for any number of arms.
    """
    best = int(np.argmax(means))
    is_rival = np.arange(len(means)) != best
    loss: FloatArray = means[best] - means
    if not is_rival.any():
        return loss
    own, _ = distinct_arms(family, first[[best]], second[[best]])
    rivals, _ = distinct_arms(family, first[is_rival], second[is_rival])
    loss += _loss_of(family, own, rivals)
    return loss


def _loss_of(family: Family, own: Arms, rivals: Arms) -> float:
    """E[(highest of ``rivals`` - the arm ``own``)+]; rivals below the whole of another arm cannot matter."""
    low = float(own.points[0, 0])
    rivals = rivals.select(rivals.points[:, -1] > max(low, rivals.points[:, 0].max()))
    if not rivals.first.size:
        return 0.0
    arms = Arms(*(np.concatenate(pair) for pair in zip(own, rivals, strict=True)))
    edges = shared_edges(arms, low, float(arms.points[:, -1].max()))
    nodes, weights = nodes_and_weights(edges)
    (_, _, log_own), *_ = hazards_and_log_cdfs(family, own, edges)
    log_rivals = np.zeros(nodes.size)
    for block, _, log_cdf in hazards_and_log_cdfs(family, rivals, edges):
        log_rivals += rivals.copies[block] @ log_cdf
    with np.errstate(under="ignore"):
        exceeded = np.exp(log_own[0]) * -np.expm1(np.minimum(log_rivals, 0.0))
        return float(weights @ (exceeded * family.slope(nodes)))
