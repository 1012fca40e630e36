"""Contenders whose figures are known."""

import time
from pathlib import Path


def sleeper(seconds, log, name):
    """Sleeps, and writes its name into a log; a step is two batches."""

    def step():
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(name)
        time.sleep(seconds)

    return step, {"steps": 2}


def eater(mib):
    """Holds so much memory in a step, and gives it back."""

    def step():
        assert len(bytearray(mib << 20)) == mib << 20

    return step


def product(side):
    """Multiplies matrices, and says how much that is."""
    import numpy as np  # Not into the memory of the others.

    matrix = np.ones((side, side), np.float32)
    return lambda: matrix @ matrix, {"operations": 2 * side**3}


def talker():
    """Prints where the answers go."""
    print("a library says hello")
    return lambda: print("and again")


def absent():
    raise ImportError("No module named 'absent'")


def crasher():
    def step():
        raise RuntimeError("the kernel is gone")

    return step
