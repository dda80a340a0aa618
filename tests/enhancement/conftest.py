import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def radiograph() -> np.ndarray:
    """A phantom (96, 120): a bright body on black, bands of structure at several scales, faint noise."""
    rng = np.random.default_rng(0)
    pixels = np.zeros((96, 120), np.float32)
    cv2.ellipse(pixels, (60, 48), (50, 40), 0, 0, 360, 0.55, -1)
    for sigma, amount in ((1, 0.03), (4, 0.3), (16, 1.0)):
        pixels += np.float32(amount) * cv2.GaussianBlur(rng.standard_normal(pixels.shape).astype(np.float32), (0, 0), sigma) * (pixels > 0)
    return np.clip(pixels, 0, 1)
