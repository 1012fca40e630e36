"""What makes the documentation out of the code; none of it is in the package."""
