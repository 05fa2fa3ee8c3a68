# SPDX-License-Identifier: Apache-2.0
"""Dense algebra of small matrices by numpy and plain Python, in double.

    case NAME            m x n matrix `a`, in rows; what each case has of:
    q, r                 thin QR, diagonal of r >= 0
    w                    eigenvalues of the symmetric `s`, ascending
    l                    Cholesky factor of the positive definite `s`
    inverse              of `s`
    root E RIDGE, x      (s + RIDGE)^-E
    shape, axis, u, y    `a` as a tensor times u along an axis, by plain loops; gram: its unfolding with itself
"""
import itertools

import numpy as np

from common import Writer


def spread(random, m, n, decades):
    return random.standard_normal((m, n)) * 10.0 ** (-decades * np.arange(n) / max(n - 1, 1))


def main():
    out = Writer()
    random = np.random.RandomState(20261122)
    for name, m, n, decades in (("one", 1, 1, 0), ("tall", 5, 3, 0), ("square", 4, 4, 0), ("graded", 9, 6, 6)):
        a = spread(random, m, n, decades)
        q, r = np.linalg.qr(a)
        signs = np.where(np.diag(r) < 0, -1.0, 1.0)
        out.line("case", "qr_" + name)
        out.line("size", m, n)
        out.line("a", *a.ravel())
        out.line("q", *(q * signs).ravel())
        out.line("r", *(r * signs[:, None]).ravel())
    for name, n, values in (("one", 1, [3.0]), ("plain", 5, [-2.0, -0.5, 0.25, 1.0, 7.0]),
                            ("clustered", 6, [1.0, 1.0, 1.0 + 1e-7, 1.0 + 2e-7, 2.0, 2.0]),
                            ("singular", 4, [0.0, 0.0, 1.0, 5.0]), ("graded", 5, [1e-8, 1e-6, 1e-4, 1e-2, 1.0])):
        basis, _ = np.linalg.qr(random.standard_normal((n, n)))
        s = (basis * np.array(values)) @ basis.T
        s = (s + s.T) / 2
        out.line("case", "eigen_" + name)
        out.line("size", n)
        out.line("s", *s.ravel())
        out.line("w", *np.linalg.eigvalsh(s))
    for name, n, exponent, ridge in (("one", 1, 0.25, 0.0), ("quarter", 4, 0.25, 1e-3), ("half", 5, 0.5, 0.0),
                                     ("sixth", 3, 1 / 6, 0.1), ("inverse", 4, 1.0, 0.0)):
        a = random.standard_normal((n, 2 * n))
        s = a @ a.T
        w, v = np.linalg.eigh(s)
        out.line("case", "positive_" + name)
        out.line("size", n)
        out.line("s", *s.ravel())
        out.line("l", *np.linalg.cholesky(s).ravel())
        out.line("inverse", *np.linalg.inv(s).ravel())
        out.line("root", exponent, ridge)
        out.line("x", *((v * (w + ridge) ** -exponent) @ v.T).ravel())
    for axis in range(4):
        shape = (2, 3, 4, 2)
        t = random.standard_normal(shape)
        u = random.standard_normal((5, shape[axis]))
        to = tuple(5 if k == axis else d for k, d in enumerate(shape))
        y, gram = np.zeros(to), np.zeros((shape[axis], shape[axis]))
        for at in itertools.product(*map(range, shape)):
            for j in range(5):
                y[at[:axis] + (j,) + at[axis + 1:]] += u[j, at[axis]] * t[at]
            for j in range(shape[axis]):
                gram[at[axis], j] += t[at] * t[at[:axis] + (j,) + at[axis + 1:]]
        out.line("case", "mode_" + str(axis))
        out.line("shape", *shape)
        out.line("axis", axis)
        out.line("a", *t.ravel())
        out.line("u", *u.ravel())
        out.line("y", *y.ravel())
        out.line("gram", *gram.ravel())
    out.save("linalg.txt")


if __name__ == "__main__":
    main()
