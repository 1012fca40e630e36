"""What is wrong with a data set, why, and the way out."""
