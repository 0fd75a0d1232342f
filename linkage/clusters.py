"""Groups of records that are one person, from the probabilities of their pairs.

What belongs here: partitions. What does not: how likely a pair is (`linkage.predict`).

Connected components chain: A is like B and B like C, so three people become one. Components whose pairs
disagree are therefore cut again, by average linkage: two groups are joined while the mean evidence of all
pairs between them, those that were never compared included, speaks for it.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Evidence of one pair, in bits: no pair decides for a group; what was not compared speaks against, mildly
_MOST_BITS = 10.0
_BITS_UNSEEN = -1.0


def cluster(records: Ints, one: Ints, other: Ints, probability: Floats, *, threshold: float = 0.5) -> Ints:
    """The cluster of each record, numbered from 0 in the order of `records`.

    Args:
        records: ids of all records, each once.
        one, other: ids of the pairs, each pair once.
        probability: of each pair; pairs that are not given count as unlikely.
        threshold: probability from which a pair holds a component together.
    """
    order = np.argsort(records)
    rank = records[order]
    a, b = order[np.searchsorted(rank, one)], order[np.searchsorted(rank, other)]
    n = len(records)
    held = probability >= threshold
    graph = coo_matrix((np.ones(int(held.sum())), (a[held], b[held])), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    labels = labels.astype(np.int64)
    sizes = np.bincount(labels, minlength=1)
    inside = labels[a] == labels[b]
    likely = np.bincount(labels[a[inside & held]], minlength=len(sizes))
    doubtful = likely < sizes * (sizes - 1) // 2
    chosen = inside & doubtful[labels[a]]
    if chosen.any():
        p = np.clip(probability[chosen], 2.0**-_MOST_BITS, 1 - 2.0**-_MOST_BITS)
        bits = np.log2(p / (1 - p))
        x, y = a[chosen], b[chosen]
        by_component = np.argsort(labels[x], kind="stable")
        bounds = np.flatnonzero(np.diff(labels[x][by_component])) + 1
        offset = len(sizes)
        for part in np.split(by_component, bounds):
            for members in _average_linkage(x[part], y[part], bits[part]):
                labels[members] = offset
                offset += 1
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _average_linkage(x: Ints, y: Ints, bits: Floats) -> list[list[int]]:
    """Groups of the nodes of one component; ties go to the nodes that come first."""
    members: dict[int, list[int]] = {}
    near: dict[int, dict[int, float]] = {}
    for i, j, w in zip(x.tolist(), y.tolist(), bits.tolist(), strict=True):
        for one, other in ((i, j), (j, i)):
            members.setdefault(one, [one])
            near.setdefault(one, {})[other] = w - _BITS_UNSEEN
    # sums are kept above the weight of an unseen pair, so that merging groups adds them
    heap = [(-w, i, j) for i, row in near.items() for j, w in row.items() if i < j]
    heapq.heapify(heap)
    while heap:
        mean, i, j = heapq.heappop(heap)
        if i not in members or j not in members or j not in near[i]:
            continue
        now = near[i][j] / (len(members[i]) * len(members[j]))
        if -mean != now:  # one of the two has grown since: its new entry is in the heap
            continue
        if now + _BITS_UNSEEN <= 0:
            break
        if len(near[i]) < len(near[j]):
            i, j = j, i
        members[i] += members.pop(j)
        row = near.pop(j)
        del near[i][j]
        for k, w in row.items():
            if k == i:
                continue
            del near[k][j]
            near[i][k] = near[k][i] = near[i].get(k, 0.0) + w
        for k, w in near[i].items():
            first, second = sorted((i, k))
            heapq.heappush(heap, (-w / (len(members[i]) * len(members[k])), first, second))
    return list(members.values())
