"""The package in environments of other versions."""
