"""`python -m tests.runtimes VERSION ...`: exports of this environment in other versions of TensorFlow.

`networks.py` exports a network and predicts what each signature must output; `environments.py` installs a
version of TensorFlow; `running.py` sends requests to the export there, by `ask.py` in processes that the C++
loader may end; `comparing.py` compares.
"""
