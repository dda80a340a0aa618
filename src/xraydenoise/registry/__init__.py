"""The one door to MLflow: its database, the mirror of what DVC versions, the registered model.

This file stays free of MLflow, whose import costs seconds that a command with no need of it should not pay.
"""

from pydantic import Field

from xraydenoise import kinds


class RegisterConfig(kinds.Config):
    """Under which names MLflow shows the work."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")  # of the registered model of track noise; stands in models:/<name>@champion
    experiment: str = Field(min_length=1)

    def model(self, track: str) -> str:
        """The registered model of a track: that of noise has the plain name."""
        return self.name if track == "noise" else f"{self.name}_{track}"
