# SPDX-License-Identifier: Apache-2.0
"""Output format, random inputs and the step loop shared by the golden scripts.

A golden file is text, one `key value value ...` line per record. Floats are C99 hexadecimal (trailing zeros of the
fraction dropped; 'inf', '-inf' and 'nan' spelled so), integers are decimal, 8-bit codes one lowercase hexadecimal
string of two digits per code. `case NAME` starts a case.
"""
import pathlib

import numpy as np


def hex_float(value):
    text = float(value).hex()
    if "p" not in text:
        return text
    mantissa, exponent = text.split("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + "p" + exponent


def token(value):
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (str, int, np.integer)):
        return str(value)
    return hex_float(value)


class Writer:
    def __init__(self):
        self.lines = []

    def line(self, key, *values):
        self.lines.append(" ".join([key, *map(token, values)]))

    def config(self, values):
        self.lines.append(" ".join(["config", *(f"{key}={token(value)}" for key, value in values.items())]))

    def save(self, name):
        path = pathlib.Path(__file__).with_name(name)
        path.write_text("\n".join(self.lines) + "\n", encoding="ascii")


def draw(seed, n=24, steps=25):
    """Start x0 (n) and gradients (steps, n), float32: coordinate 0 has gradient 0 always, 1 about 1e-12, 2 about 1e3,
    3 cycles through zero, tiny, large and ordinary entries, 4 is mostly zero; the others spread over four decades
    with 5 % exact zeros. x0 of coordinate 5 is 0."""
    random = np.random.RandomState(seed)
    x0 = random.standard_normal(n)
    x0[5] = 0
    g = random.standard_normal((steps, n)) * 10 ** random.uniform(-3, 1, n)
    g[random.uniform(size=g.shape) < 0.05] = 0
    g[:, 0] = 0
    g[:, 1] = 1e-12 * random.standard_normal(steps)
    g[:, 2] = 1e3 * random.standard_normal(steps)
    g[:, 3] = random.choice([-1, 1], steps) * np.resize([0, 1e-12, 1e3, 1, 0.1], steps)
    g[np.arange(steps) % 5 != 2, 4] = 0
    return x0.astype(np.float32), g.astype(np.float32) + np.float32(0)  # no negative zeros


def trajectory(out, name, config, rates, rule64, rule32, seed):
    """Runs both rules on the same float32-representable inputs and writes every step. A rule has `states` (names of
    its arrays), `start(n)` and `step(lr, x, g)`, which updates the arrays and returns the new x."""
    x0, gradients = draw(seed, steps=len(rates))
    assert np.all(gradients[:, 0] == 0) and np.any(np.abs(gradients) >= 1e3)
    out.line("case", name)
    out.config(config)
    out.line("n", x0.size)
    out.line("steps", len(rates))
    out.line("x0", *x0)
    rule64.start(x0.size)
    rule32.start(x0.size)
    x64, x32 = x0.astype(np.float64), x0
    for t, (lr, g) in enumerate(zip(rates, gradients), start=1):
        x64 = rule64.step(lr, x64, g.astype(np.float64))
        x32 = rule32.step(lr, x32, g)
        out.line("step", t)
        out.line("lr", float(lr))
        out.line("g", *g)
        for bits, kind, x, rule in (("64", np.float64, x64, rule64), ("32", np.float32, x32, rule32)):
            out.line("x" + bits, *x)
            for state in rule.states:
                out.line(state + bits, *getattr(rule, state))
            for array in (x, *(getattr(rule, state) for state in rule.states)):
                assert array.dtype == kind and np.all(np.isfinite(array))
                assert np.all((array == 0) | (np.abs(array) >= np.finfo(np.float32).tiny))  # no float subnormals
    scale = np.maximum(np.abs(x64), np.abs(x64 - x0))
    assert np.all(np.abs(x32 - x64) <= 2e-5 * scale + 1e-6), (name, np.max(np.abs(x32 - x64) / (scale + 1e-6)))
