"""Turns folders of radiographs into the best X-ray denoiser that can be had for them, and proves it."""
