"""Groups of records that are one person, from the probabilities of their pairs.

What belongs here: partitions. What does not: how likely a pair is (`linkage.predict`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def cluster(
    records: NDArray[np.int64],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    probability: NDArray[np.float64],
    *,
    threshold: float = 0.5,
) -> NDArray[np.int64]:
    """The cluster of each record, numbered from 0 in the order of `records`.

    Args:
        records: ids of all records.
        one, other: ids of the pairs.
        probability: of each pair; pairs that are not given count as unlikely.
        threshold: mean probability that the pairs between two clusters must have for them to be joined.
    """
    order = np.argsort(records)
    rank = records[order]
    a, b = order[np.searchsorted(rank, one)], order[np.searchsorted(rank, other)]
    keep = probability >= threshold
    n = len(records)
    graph = coo_matrix((np.ones(int(keep.sum())), (a[keep], b[keep])), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)
