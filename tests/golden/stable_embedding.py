# SPDX-License-Identifier: Apache-2.0
"""Golden values of the stable embedding layer: its first weights, and layer norm of rows with its gradients.

Weights: bound = sqrt(6/(rows + columns)); number j in rows one after the other is bound u11(word(s, 0, j)), with
s = derive(seed, 0x656d626564) (philox.py).

Layer norm of a row x of n, in double: s^2 = mean((x - mean(x))^2) + eps, v = (x - mean(x))/s, y = v scale + shift. The
gradients by the matrix of derivatives, row by row: dv_i/dx_j = (delta_ij - 1/n - v_i v_j/n)/s; dscale, dshift sum over rows.
"""
import numpy as np

from common import Writer
from philox import derive, u11, word


def layer_norm(x, scale, shift, dy, eps):
    rows, n = x.shape
    y, dx, dscale, dshift = np.empty_like(x), np.empty_like(x), np.zeros(n), np.zeros(n)
    for r in range(rows):
        centred = x[r] - x[r].mean()
        s = np.sqrt(np.mean(centred**2) + eps)
        v = centred / s
        y[r] = v * scale + shift
        jacobian = (np.eye(n) - 1 / n - np.outer(v, v) / n) / s
        dx[r] = jacobian.T @ (dy[r] * scale)
        dscale += dy[r] * v
        dshift += dy[r]
    return y, dx, dscale, dshift


def check():
    """A row of (1, 3): v = (-1, 1); and differences of the loss sum(y dy) along each coordinate."""
    y, *_ = layer_norm(np.array([[1.0, 3]]), np.array([2.0, 5]), np.array([0.5, 0]), np.zeros((1, 2)), 0.0)
    assert np.allclose(y, [[-1.5, 5]])
    random = np.random.RandomState(1)
    x, scale, shift, dy = random.randn(3, 5), random.randn(5), random.randn(5), random.randn(3, 5)
    _, dx, dscale, dshift = layer_norm(x, scale, shift, dy, 0.1)
    loss = lambda: np.sum(layer_norm(x, scale, shift, dy, 0.1)[0] * dy)
    for values, gradient in (x, dx), (scale, dscale), (shift, dshift):
        for at in np.ndindex(values.shape):
            was = values[at]
            values[at] = was + 1e-6
            up = loss()
            values[at] = was - 1e-6
            assert abs((up - loss()) / 2e-6 - gradient[at]) < 1e-6
            values[at] = was


def main():
    check()
    out = Writer()
    for rows, columns, seed in (40, 24, 0), (1, 1, 7), (50000, 512, 2**40 + 3):
        out.line("case", f"weights_{rows}x{columns}")
        bound = np.sqrt(6 / (rows + columns))
        out.config({"rows": rows, "columns": columns})
        out.line("seed", seed)
        out.line("bound", float(bound))
        key = derive(seed, 0x656D626564)
        out.line("w64", *(float(bound * u11(word(key, 0, j))) for j in range(min(rows * columns, 30))))
    for number, (rows, n, eps, offset) in enumerate([(5, 7, 1e-5, 0), (19, 12, 1e-3, 3), (2, 70, 0.0, -2), (33, 1, 1e-5, 0)]):
        out.line("case", f"norm_{rows}x{n}")
        random = np.random.RandomState(820 + number)
        single = lambda *shape: random.standard_normal(shape).astype(np.float32).astype(float)
        x = (single(rows, n) * 2 + offset).astype(np.float32).astype(float)
        scale, shift, dy = 1 + single(n) / 4, single(n), single(rows, n)
        scale = scale.astype(np.float32).astype(float)
        out.config({"rows": rows, "columns": n, "eps": eps})
        for key, values in zip(("x", "scale", "shift", "dy"), (x, scale, shift, dy)):
            out.line(key, *values.ravel())
        for key, values in zip(("y64", "dx64", "dscale64", "dshift64"), layer_norm(x, scale, shift, dy, eps)):
            out.line(key, *values.ravel())
    out.save("stable_embedding.txt")


if __name__ == "__main__":
    main()
