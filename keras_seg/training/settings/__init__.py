"""What can be set of a training, the settings of the sources by name, and their checks."""
