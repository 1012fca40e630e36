"""Back to the people who label: what to label next, which labels to doubt, and masks while they draw."""
