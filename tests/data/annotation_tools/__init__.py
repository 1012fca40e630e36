"""The annotation tools' own packages read what we write, and write what we read."""
