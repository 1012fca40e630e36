"""Bytes to arrays: images, masks, TIFF, and what the first bytes of an image say."""
