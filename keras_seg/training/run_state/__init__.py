"""What a training keeps on disk, and how it resumes from it."""
