"""What lies where in a data folder, and what the values of its masks mean."""
