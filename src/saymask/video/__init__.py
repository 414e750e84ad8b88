"""Pixels and files: reading, sampling and transforming frames, masks, and everything that is written."""
