"""`python -m tests.attack`: what a stranger may send or hand over, many times over, and what became of it.

A kind of attack is a module of its own, listed in `kinds.py`. It makes cases, each of a seed and a number
alone, and puts one to the package; `child.py` does that in a process of its own where a case may end it,
`attacking.py` counts what came of it.
"""
