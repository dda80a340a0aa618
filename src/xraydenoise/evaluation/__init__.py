"""How good a denoiser is: metrics, the classical methods it must beat, confidence intervals, ranking, figures and report."""
