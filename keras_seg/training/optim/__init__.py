"""Optimizers, schedules of the rate, precision, and the weights of the classes in the loss."""
