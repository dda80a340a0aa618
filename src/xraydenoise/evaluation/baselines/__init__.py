"""The classical methods that a model must beat: one file a kind, whose Config names the settings among which val chooses."""

from typing import Annotated

from pydantic import BeforeValidator, SerializeAsAny

from xraydenoise import kinds
from xraydenoise.evaluation.baselines.base import Baseline, Denoiser
from xraydenoise.evaluation.baselines.median import Config as Median
from xraydenoise.evaluation.baselines.median import median
from xraydenoise.evaluation.baselines.total_variation import Config as TotalVariation
from xraydenoise.evaluation.baselines.tuning import Fitted, fit, recall

__all__ = ["Baseline", "BaselineConfig", "Denoiser", "Fitted", "Median", "TotalVariation", "fit", "median", "recall"]

BaselineConfig = Annotated[SerializeAsAny[Baseline], BeforeValidator(kinds.by_kind("xraydenoise.evaluation.baselines"))]
