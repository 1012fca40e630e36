"""Optimizers, learning-rate schedules, precision and class weights."""
