"""A training from its first step to its last: the network, the epochs, signals, and what a run ends with."""
