"""Three regressions that predict welfare, and the choice of variables.

ordinary             weighted least squares: the mean.
quantile             Koenker and Bassett (1978), at the quantile where the programme's line lies: Brown, Ravallion
                     and van de Walle (2018) find that it leaves fewer of the poor out.
percentile_weighted  weighted least squares in which a household at percentile p of welfare weighs (1 - p) to a
                     power, so that the fit is best among the poor.

Arrays have one row a household: X of shape (n, p) without a constant, y and w of shape (n,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sijill.errors import SijillError
from sijill.policy.calibration.spec import Regression, SelectionSpec
from sijill.policy.targeting import mid_rank

Floats = NDArray[np.float64]

# Columns whose part outside the others is smaller than this, relative to their size, say nothing new.
_DEPENDENT = 1e-6


@dataclass(frozen=True)
class Fit:
    """A fitted regression.

    Attributes:
        kept: positions of the terms that have a coefficient, ascending.
        intercept: constant.
        coefficients: in the order of `kept`.
        standard_errors: of the coefficients, by cluster; empty where the method gives none.
        wrong_way: positions of the terms left out because they came out against expectation.
    """

    kept: tuple[int, ...]
    intercept: float
    coefficients: Floats
    standard_errors: Floats
    wrong_way: tuple[int, ...] = ()

    def predict(self, x: Floats) -> Floats:
        """Predictions of shape (n,) for X of shape (n, p), p being all terms."""
        predicted: Floats = self.intercept + x[:, list(self.kept)] @ self.coefficients
        return predicted


def independent(x: Floats, w: Floats, order: list[int] | None = None) -> list[int]:
    """Positions of columns of which none is a combination of a constant and the ones before it."""
    root = np.sqrt(w)
    positions = order if order is not None else list(range(x.shape[1]))
    basis = np.empty((len(positions) + 1, len(root)))
    basis[0] = root / np.linalg.norm(root)
    kept: list[int] = []
    for j in positions:
        column = root * x[:, j]
        size = np.linalg.norm(column)
        if size == 0:
            continue
        rest = column / size
        # Twice: once is not enough when a column nearly lies in the others.
        found = basis[: len(kept) + 1]
        for _ in range(2):
            rest = rest - (found @ rest) @ found
        if np.linalg.norm(rest) > _DEPENDENT:
            kept.append(j)
            basis[len(kept)] = rest / np.linalg.norm(rest)
    return sorted(kept)


def choose(x: Floats, y: Floats, w: Floats, groups: list[str], selection: SelectionSpec) -> list[int]:
    """Positions of the terms that stay, by forward selection of whole variables.

    At each step the variable that lowers the Bayesian information criterion n log(RSS / n) + k log n most comes in;
    none does when none lowers it. Variables of `keep` come first. Sums of squares come from one matrix of products,
    reduced by each variable let in, so a step costs no pass over the survey.
    """
    n = len(y)
    everything = independent(x, w)
    if selection.method == "none":
        return everything
    weight = w / w.mean()
    table = np.column_stack([np.ones(n), x, y])
    products = table.T @ (table * weight[:, None])
    scale = np.sqrt(np.where(np.diag(products) > 0, np.diag(products), 1.0))
    products = products / np.outer(scale, scale)
    products = _reduced(products, [0])
    columns: dict[str, list[int]] = {}
    for j in everything:
        columns.setdefault(groups[j], []).append(j + 1)
    unknown = sorted(set(selection.keep) - set(groups))
    if unknown:
        raise SijillError(
            f"model.selection.keep names {', '.join(unknown)}, which are no variables.",
            expected="names of variables",
            action="correct the spec",
        )
    chosen: list[int] = []
    waiting = dict(columns)

    def let_in(name: str) -> None:
        nonlocal products
        members = waiting.pop(name)
        products = _reduced(products, members)
        chosen.extend(j - 1 for j in members)

    for name in selection.keep:
        if name in waiting:
            let_in(name)
    while waiting and len(columns) - len(waiting) < selection.max_variables:
        left = products[-1, -1]
        if left <= 1e-12:
            break
        gains = {}
        for name, members in waiting.items():
            block, with_y = products[np.ix_(members, members)], products[members, -1]
            explained = float(with_y @ np.linalg.pinv(block, rcond=1e-9, hermitian=True) @ with_y)
            remaining = max(left - explained, 1e-15)
            gains[name] = n * np.log(remaining / left) + len(members) * np.log(n)
        best = min(gains, key=lambda name: gains[name])
        if gains[best] >= 0:
            break
        let_in(best)
    return sorted(chosen)


def _reduced(products: Floats, members: list[int]) -> Floats:
    """Products of what is left of every column outside `members`."""
    block = np.linalg.pinv(products[np.ix_(members, members)], rcond=1e-9, hermitian=True)
    reduced: Floats = products - products[:, members] @ block @ products[members, :]
    return reduced


def fit(
    kind: Regression,
    x: Floats,
    y: Floats,
    w: Floats,
    *,
    candidates: list[int],
    expect: list[str | None],
    quantile: float,
    power: float,
    cluster: NDArray[np.int64] | None = None,
) -> Fit:
    """Fit one regression; terms that come out against expectation leave one after another, the worst first.

    Args:
        kind: of regression.
        candidates: positions of the terms to use.
        expect: for each term, `richer`, `poorer` or None.
        quantile: for the quantile regression.
        power: for the percentile-weighted one.
        cluster: codes of the sampling units, for standard errors; none are computed without.
    """
    if kind == "percentile_weighted":
        w = w * (1 - mid_rank(y, w)) ** power
    kept = independent(x, w, candidates)
    wrong: list[int] = []
    while True:
        values, errors = _estimate(kind, x[:, kept], y, w, quantile, cluster)
        against = {
            j: abs(b)
            for j, b in zip(kept, values[1:], strict=True)
            if (expect[j] == "richer" and b < 0) or (expect[j] == "poorer" and b > 0)
        }
        if not against:
            return Fit(tuple(kept), float(values[0]), values[1:], errors[1:], tuple(wrong))
        worst = max(against, key=lambda j: against[j] * float(np.std(x[:, j])))
        wrong.append(worst)
        kept = [j for j in kept if j != worst]


def _estimate(
    kind: Regression, x: Floats, y: Floats, w: Floats, quantile: float, cluster: NDArray[np.int64] | None
) -> tuple[Floats, Floats]:
    """Coefficients, the constant first, and their standard errors (empty without clusters, or for a quantile)."""
    import warnings

    table = np.column_stack([np.ones(len(y)), x])
    if kind == "quantile":
        return _quantile(table, y, w, quantile), np.empty(0)
    from statsmodels.regression.linear_model import WLS

    used = w > 0
    model = WLS(y[used], table[used], weights=w[used])
    if cluster is None:
        return np.asarray(model.fit().params), np.empty(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result: Any = model.fit(cov_type="cluster", cov_kwds={"groups": cluster[used]})
    return np.asarray(result.params), np.asarray(result.bse)


def _quantile(table: Floats, y: Floats, w: Floats, quantile: float) -> Floats:
    """The linear programme of Koenker and Bassett, weighted, solved by HiGHS: exact where levels tie."""
    from scipy import sparse
    from scipy.optimize import linprog

    used = w > 0
    a, b, weight = table[used], y[used], w[used] / w[used].mean()
    # The dual has one variable a household within [0, weight] and one equation a coefficient: much the smaller.
    result = linprog(
        -b,
        A_eq=sparse.csr_matrix(a.T),
        b_eq=(1 - quantile) * (a.T @ weight),
        bounds=np.column_stack([np.zeros(len(b)), weight]),
        method="highs",
    )
    if result.status != 0:
        raise SijillError(
            f"The quantile regression did not converge: {result.message}",
            expected="terms that do not repeat each other",
            action="use fewer variables, or leave `quantile` out of model.regressions",
        )
    return -np.asarray(result.eqlin.marginals, dtype=float)
