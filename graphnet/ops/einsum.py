"""einsum: sums of products of labelled axes, as matrix products."""
from typing import Any

from graphnet import dims
from graphnet.errors import ShapeError
from graphnet.op import public
from graphnet.ops.contraction import MatMul
from graphnet.ops.convert import promote, shape, shown
from graphnet.ops.elementwise import multiply
from graphnet.ops.products import diagonal
from graphnet.ops.reduction import sum
from graphnet.ops.shape import expand_dims, reshape, transpose

_SPARE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _terms(subscripts: str, operands: list[Any]) -> tuple[list[str], str]:
    """The labels of each operand and of the result, with letters in place of the dots."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ShapeError(f"einsum {subscripts!r} has {len(terms)} term(s); received {len(operands)} operand(s).")
    spare = [c for c in _SPARE if c not in text]
    wide = 0
    for i, (term, x) in enumerate(zip(terms, operands, strict=True)):
        extra = x.ndim - len(term.replace("...", ""))
        if extra < 0 or (extra and "..." not in term):
            raise ShapeError(f"einsum {subscripts!r}: expected an operand {i} with ndim={len(term.replace('...', ''))} for "
                             f"{term!r}; "
                             f"received shape {shown(shape(x))}.")
        wide = max(wide, extra)
        terms[i] = term.replace("...", "".join(spare[:extra][::-1]))
    if arrow:
        return terms, right.replace("...", "".join(spare[:wide][::-1]))
    labels = sorted(set(left) - set(",."))
    return terms, "".join(spare[:wide][::-1]) + "".join(c for c in labels if left.count(c) == 1)


def _check(subscripts: str, terms: list[str], result: str, operands: list[Any]) -> None:
    extents: dict[str, Any] = {}
    for term, x in zip(terms, operands, strict=True):
        for label, extent in zip(term, shape(x), strict=True):
            known = extents.setdefault(label, extent)
            if type(known) is int and type(extent) is int and known != extent:
                raise ShapeError(f"einsum {subscripts!r}: expected one extent for {label!r}; received {known} and {extent}, in "
                                 "operands of shapes "
                                 f"{', '.join(str(shown(shape(v))) for v in operands)}.")
    unknown = [label for label in result if label not in extents]
    if unknown:
        raise ShapeError(f"einsum {subscripts!r}: the result has the label {unknown[0]!r}, which no operand has.")


def _without_twins(x: Any, term: str) -> tuple[Any, str]:
    """x with the diagonal taken over each label that stands twice, and its labels."""
    while len(set(term)) < len(term):
        label = next(c for c in term if term.count(c) > 1)
        first = term.index(label)
        second = term.index(label, first + 1)
        x = diagonal(x, 0, first, second)
        term = term[:first] + term[first + 1:second] + term[second + 1:] + label
    return x, term


def _arranged(x: Any, term: str, order: str) -> Any:
    return x if term == order else transpose(x, [term.index(c) for c in order])


def _alone_summed(x: Any, term: str, others: str) -> tuple[Any, str]:
    """x summed over the labels that stand nowhere else, and the labels that are left."""
    summed = [i for i, c in enumerate(term) if c not in others]
    return (sum(x, summed), "".join(c for c in term if c in others)) if summed else (x, term)


def _pair(a: Any, left: str, b: Any, right: str, kept: str) -> tuple[Any, str]:
    """The product of two operands, summed over the labels that are not kept; and its labels."""
    (a, left), (b, right) = _alone_summed(a, left, right + kept), _alone_summed(b, right, left + kept)
    batch = "".join(c for c in left if c in right and c in kept)
    inner = "".join(c for c in left if c in right and c not in kept)
    rows, columns = ("".join(c for c in own if c not in batch + inner) for own in (left, right))
    if not inner:
        a, b = _arranged(a, left, batch + rows), _arranged(b, right, batch + columns)
        for _ in columns:
            a = expand_dims(a, a.ndim)
        return multiply(a, expand_dims(b, list(range(len(batch), len(batch + rows)))) if rows else b), batch + rows + columns
    extents = {**dict(zip(left, shape(a), strict=True)), **dict(zip(right, shape(b), strict=True))}

    def sized(labels: str) -> tuple[Any, ...]:
        return tuple([extents[c] for c in labels])

    def merged(labels: str) -> Any:
        return dims.product(sized(labels))
    a2 = reshape(_arranged(a, left, batch + rows + inner), (*sized(batch), merged(rows), merged(inner)))
    b2 = reshape(_arranged(b, right, batch + inner + columns), (*sized(batch), merged(inner), merged(columns)))
    return reshape(MatMul()(a2, b2), sized(batch + rows + columns)), batch + rows + columns


@public
def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products over labelled axes: ``einsum("ij,jk->ik", a, b)`` is the matrix product. ``...`` stands for further axes.

    Operands are taken from left to right, each pair as a matrix product. Raises ShapeError where a label has two extents.
    Source: https://keras.io/api/ops/numpy/

    Example:

        >>> from graphnet import ops
        >>> ops.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
        array([3., 7.], dtype=float32)
    """
    values = promote(*operands)
    terms, result = _terms(subscripts, values)
    _check(subscripts, terms, result, values)
    for i, term in enumerate(terms):
        values[i], terms[i] = _without_twins(values[i], term)
    x, labels = values[0], terms[0]
    for i in range(1, len(values)):
        x, labels = _pair(x, labels, values[i], terms[i], result + "".join(terms[i + 1:]))
    x, labels = _alone_summed(x, labels, result)
    return _arranged(x, labels, result)


__all__ = ["einsum"]
