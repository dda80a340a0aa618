"""What a person may turn of how files become pictures. Apart from the decoders, which whoever reads params.yaml should not wait for."""

from pydantic import Field, model_validator

from xraydenoise import kinds

MIN_SIDE = 32  # px; a picture with a shorter side than this has no region to learn from


class SplitConfig(kinds.Config):
    """Shares of patients, which sum to 1."""

    train: float = Field(gt=0, lt=1)
    val: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def sums_to_one(self) -> "SplitConfig":
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, val and test must sum to 1, found {total:g}")
        return self


class DecodeConfig(kinds.Config):
    """How one file becomes one picture."""

    size: int = Field(ge=MIN_SIDE)  # px, the longer side after scaling; smaller pictures stay as they are
    max_megapixels: float = Field(gt=0)  # a larger picture is refused before it is decoded
    voi: bool  # whether DICOM's values of interest (window or table, what a viewer shows) are applied; they cut what lies outside


class IngestConfig(DecodeConfig):
    """How files become pictures of the store."""

    max_bad: float = Field(ge=0, le=1)  # share of a dataset's files that may be unusable; above it the stage fails
    split: SplitConfig
