"""The table of every manifest that one stage writes and another reads, checked on both sides."""

from pathlib import Path
from typing import Any

import pandas as pd
import pandera.errors
import pandera.pandas as pa
from pandera.typing import Series

from xraydenoise import disk

SPLITS = ("train", "val", "test")
TRACKS = ("noise", "enhanced")


class Table(pa.DataFrameModel):
    """A manifest: the columns named here, in this order of types, and no others."""

    class Config:
        strict = True


@pa.dataframe_check(error="a patient stands in two splits")
def one_split_a_patient(cls: type[Table], frame: pd.DataFrame) -> bool:  # noqa: ARG001  pandera makes it a method of each table that names it
    return bool((frame.groupby("patient")["split"].nunique() <= 1).all())


class Downloads(Table):
    """One row a file of a downloaded dataset; `path` is relative to the dataset's folder."""

    path: Series[str] = pa.Field(unique=True)
    patient: Series[str] = pa.Field(nullable=True)  # null: the decoder must find it (DICOM) or take the picture itself
    view: Series[str] = pa.Field(nullable=True)
    label: Series[str] = pa.Field(nullable=True)
    licence: Series[str]
    origin: Series[str]  # where the file came from, for the attribution
    spacing: Series[float] = pa.Field(nullable=True, gt=0)  # mm a pixel, where the source knows it and the file does not say
    reason: Series[str] = pa.Field(nullable=True)  # why the file could not be fetched
    detail: Series[str] = pa.Field(nullable=True)


class Images(Table):
    """One row a picture in the pixel store: where its pixels lie, whose they are, in which split it stands."""

    image: Series[str] = pa.Field(unique=True, str_length={"min_value": 8})  # from the pixels' content
    patient: Series[str]
    split: Series[str] = pa.Field(isin=SPLITS)
    source: Series[str]
    file: Series[str]
    view: Series[str] = pa.Field(nullable=True)
    label: Series[str] = pa.Field(nullable=True)
    licence: Series[str]
    bits: Series[int] = pa.Field(ge=1, le=64)  # stored depth of the file
    native_height: Series[int] = pa.Field(ge=1)  # px, as decoded
    native_width: Series[int] = pa.Field(ge=1)
    spacing: Series[float] = pa.Field(nullable=True)  # mm a pixel at the working resolution
    burned_in: Series[bool]  # whether the file's header says that text is part of the pixels
    dicom_patient: Series[str] = pa.Field(nullable=True)  # the header's PatientID, hashed, whatever else names the patient
    dicom_study: Series[str] = pa.Field(nullable=True)  # its StudyInstanceUID, hashed: a study is of one patient
    named: Series[bool]  # whether metadata name the patient; else the file counts as one
    offset: Series[int] = pa.Field(ge=0)  # first pixel in the flat store
    height: Series[int] = pa.Field(ge=1)  # px, at the working resolution
    width: Series[int] = pa.Field(ge=1)

    patient_in_one_split = one_split_a_patient


class Quarantine(Table):
    """One row a file that was refused, with a reason code and what was found."""

    source: Series[str]
    file: Series[str]
    reason: Series[str]
    detail: Series[str]


class Regions(Table):
    """One row per enhanced region: `image` is its own id, `parent` the picture it was cut from.

    linear.npy holds its amplified pixels before the curve, plain.npy those of the parent's region, which all its presets share.
    """

    image: Series[str] = pa.Field(unique=True)
    parent: Series[str]
    preset: Series[int] = pa.Field(ge=0)  # its number
    noise: Series[str] = pa.Field(isin=("before", "after", "both"))  # where noise joins: before the enhancement, after it, or both
    patient: Series[str]
    split: Series[str] = pa.Field(isin=SPLITS)
    label: Series[str] = pa.Field(nullable=True)  # the parent's
    top: Series[int] = pa.Field(ge=0)  # px, in the parent at the working resolution
    left: Series[int] = pa.Field(ge=0)
    offset: Series[int] = pa.Field(ge=0)  # in linear.npy, and of the label in targets.npy
    plain: Series[int] = pa.Field(ge=0)  # in plain.npy
    height: Series[int] = pa.Field(ge=1)
    width: Series[int] = pa.Field(ge=1)
    low: Series[float]  # of the preset's curve at this picture: what becomes 0, `level` and 1
    middle: Series[float]
    high: Series[float]
    level: Series[float]

    patient_in_one_split = one_split_a_patient

    @pa.dataframe_check(error="noise joins at several positions")
    def one_position(cls, frame: pd.DataFrame) -> bool:  # noqa: N805
        return frame["noise"].nunique() <= 1


class Track(Table):
    """What a model of one track learns to give: pictures in targets.npy. On track enhanced, `Regions` tells how its inputs come about."""

    image: Series[str] = pa.Field(unique=True)
    patient: Series[str]
    split: Series[str] = pa.Field(isin=SPLITS)
    teaches: Series[bool]  # whether a model may learn its target or be chosen by it; false for a label that was vetoed
    label: Series[str] = pa.Field(nullable=True)  # the dataset's own, of the picture
    offset: Series[int] = pa.Field(ge=0)
    height: Series[int] = pa.Field(ge=1)
    width: Series[int] = pa.Field(ge=1)


class Degraded(Table):
    """One row a stored noisy picture of val or test; its pixels lie in `<condition>.npy`."""

    image: Series[str]
    condition: Series[str]
    patient: Series[str]
    split: Series[str] = pa.Field(isin=("val", "test"))
    seed: Series[int] = pa.Field(ge=0)
    offset: Series[int] = pa.Field(ge=0)
    height: Series[int] = pa.Field(ge=1)
    width: Series[int] = pa.Field(ge=1)

    @pa.dataframe_check(error="an image was drawn twice under one condition")
    def drawn_once(cls, frame: pd.DataFrame) -> bool:  # noqa: N805
        return not frame.duplicated(["image", "condition"]).any()


class History(Table):
    """One row a validation while a model learns."""

    step: Series[int] = pa.Field(ge=0, unique=True)  # 0: before the first one
    loss: Series[float]  # mean since the last validation; at step 0 that of the first batch
    learning_rate: Series[float] = pa.Field(ge=0)
    val_target_psnr: Series[float]  # dB, mean over val pictures, against what the model learns: on track enhanced that is a label


class Scores(Table):
    """One row per image, condition and method, against the truth; `setting` is what was tuned on val ("" where nothing is)."""

    method: Series[str]
    track: Series[str] = pa.Field(isin=TRACKS)
    condition: Series[str]
    split: Series[str] = pa.Field(isin=("val", "test"))
    image: Series[str]
    patient: Series[str]
    setting: Series[str]
    psnr: Series[float]  # dB, data range 1
    ssim: Series[float] = pa.Field(ge=-1, le=1)
    mse: Series[float] = pa.Field(ge=0)
    ms_ssim: Series[float] = pa.Field(ge=0, le=1)
    edges: Series[float] = pa.Field(ge=-1, le=1)  # edge preservation index
    label_psnr: Series[float] = pa.Field(
        nullable=True
    )  # dB, agreement with Real-ESRGAN's label; null where that was vetoed, and on track noise
    label_ssim: Series[float] = pa.Field(nullable=True, ge=-1, le=1)


class Examined(Table):
    """One row a test picture, condition and method, over repeated draws of its noise; channels.npy holds the observer's outputs."""

    method: Series[str]
    condition: Series[str]
    image: Series[str]
    patient: Series[str]
    bias2: Series[float]  # squared fraction of full scale; what stays however many predictions are averaged
    variance: Series[float] = pa.Field(ge=0)  # squared fraction of full scale; what differs from draw to draw
    cnr: Series[float] = pa.Field(nullable=True)  # contrast-to-noise of the inserted disc; null where the picture has no place for it
    reason: Series[str] = pa.Field(nullable=True)  # why it has none


class Sweep(Table):
    """One row a test picture, method and level of noise."""

    method: Series[str]
    family: Series[str] = pa.Field(isin=("gaussian", "quantum"))
    level: Series[float] = pa.Field(gt=0)  # sigma as a fraction of full scale; photons at full scale
    image: Series[str]
    patient: Series[str]
    psnr: Series[float]  # dB
    ssim: Series[float]


class Spectra(Table):
    """One row a condition, method and frequency: the noise power of its residuals, a mean over the kept test pictures."""

    method: Series[str]
    track: Series[str] = pa.Field(isin=TRACKS)
    condition: Series[str]
    frequency: Series[float] = pa.Field(ge=0)  # cycles / px
    power: Series[float] = pa.Field(ge=0)  # (fraction of full scale)^2 px^2


class Pictures(Table):
    """One row a denoised test picture that a method keeps for the figures; its pixels lie in pictures.npy."""

    image: Series[str]
    track: Series[str] = pa.Field(isin=TRACKS)
    condition: Series[str]
    patient: Series[str]
    offset: Series[int] = pa.Field(ge=0)
    height: Series[int] = pa.Field(ge=1)
    width: Series[int] = pa.Field(ge=1)


class Ranking(Table):
    """One row a track, split, condition ("all" = the mean over conditions) and method, best first."""

    track: Series[str] = pa.Field(isin=TRACKS)
    split: Series[str] = pa.Field(isin=("val", "test"))
    condition: Series[str]
    method: Series[str]
    images: Series[int] = pa.Field(ge=1)
    pictures: Series[int] = pa.Field(ge=1)  # fewer than images on track enhanced, where presets share one
    patients: Series[int] = pa.Field(ge=1)
    # of the images, how many the method has seen where the weights come from that it begins from; null where these do not tell
    seen: Series[float] = pa.Field(ge=0, nullable=True)
    psnr: Series[float]  # dB, mean
    psnr_low: Series[float]
    psnr_high: Series[float]
    ssim: Series[float]
    ssim_low: Series[float]
    ssim_high: Series[float]
    mse: Series[float]
    ms_ssim: Series[float]
    edges: Series[float]
    gain_psnr: Series[float]  # dB over the median filter, mean of paired differences
    gain_psnr_low: Series[float]
    gain_psnr_high: Series[float]
    gain_ssim: Series[float]
    gain_ssim_low: Series[float]
    gain_ssim_high: Series[float]
    label_psnr: Series[float] = pa.Field(nullable=True)  # dB, mean agreement with Real-ESRGAN's labels; null on track noise
    label_ssim: Series[float] = pa.Field(nullable=True)


class Differences(Table):
    """One row a track, condition ("all": each picture's mean over them), metric and method: how it differs from the reference on test."""

    track: Series[str] = pa.Field(isin=TRACKS)
    condition: Series[str]
    metric: Series[str] = pa.Field(isin=("psnr", "ssim"))
    reference: Series[str]
    method: Series[str]
    patients: Series[int] = pa.Field(ge=1)
    difference: Series[float]  # method minus reference, mean of paired differences
    low: Series[float]
    high: Series[float]
    p: Series[float] = pa.Field(ge=0, le=1)  # signs flipped by patient
    p_holm: Series[float] = pa.Field(ge=0, le=1)  # corrected over methods and conditions


class Groups(Table):
    """One row a track, condition and method: methods that share a letter cannot be told apart on test."""

    track: Series[str] = pa.Field(isin=TRACKS)
    condition: Series[str]
    method: Series[str]
    letters: Series[str]


class Curves(Table):
    """One row a family of noise, method and level of the sweep, by rising level."""

    family: Series[str] = pa.Field(isin=("gaussian", "quantum"))
    method: Series[str]
    level: Series[float] = pa.Field(gt=0)  # sigma as a fraction of full scale; dose in % of full photons
    images: Series[int] = pa.Field(ge=1)
    patients: Series[int] = pa.Field(ge=1)
    psnr: Series[float]
    psnr_low: Series[float]
    psnr_high: Series[float]
    ssim: Series[float]
    ssim_low: Series[float]
    ssim_high: Series[float]
    gain_psnr: Series[float]
    gain_psnr_low: Series[float]
    gain_psnr_high: Series[float]
    gain_ssim: Series[float]
    gain_ssim_low: Series[float]
    gain_ssim_high: Series[float]


class Detectability(Table):
    """One row a condition and method on track noise: what repeated draws tell."""

    condition: Series[str]
    method: Series[str]
    images: Series[int] = pa.Field(ge=1)
    placed: Series[int] = pa.Field(ge=0)  # of them with a place for the disc
    bias2: Series[float]
    variance: Series[float]
    cnr: Series[float] = pa.Field(nullable=True)  # of those placed; null where none is
    dprime: Series[float] = pa.Field(ge=0, nullable=True)  # of the channelised Hotelling observer, those placed pooled
    dprime_low: Series[float] = pa.Field(ge=0, nullable=True)  # null where a single picture or patient has none
    dprime_high: Series[float] = pa.Field(ge=0, nullable=True)


class Cost(Table):
    """One row a model: what its network costs."""

    method: Series[str]
    parameters: Series[int] = pa.Field(ge=1)
    mflop: Series[float] = pa.Field(ge=0)  # a pixel; one multiplication and one addition count as two operations


class ProtocolScores(Table):
    """One row a test picture, condition, method and metric of a published comparison."""

    method: Series[str]
    condition: Series[str]
    image: Series[str]
    patient: Series[str]
    metric: Series[str]
    value: Series[float]


class ProtocolTable(Table):
    """One row per metric, condition and method: what the metric makes of all test pictures, beside the published figure."""

    metric: Series[str]
    condition: Series[str]
    method: Series[str]
    mean: Series[float]
    published: Series[float] = pa.Field(nullable=True)


def pictures(images: pd.Series) -> pd.Series:
    """The pictures that images are of: an enhanced region's id is `<picture>-<preset>`, other ids are returned as they are."""
    return images.str.replace(r"-\d+$", "", regex=True)


def write(frame: pd.DataFrame, path: Path, schema: type[Table]) -> None:
    """Check `frame` against `schema` and write it as Parquet, or as CSV where `path` ends so; the file appears whole or not at all.

    Raises ValueError naming the file, the column and the values at fault.
    """
    checked = _checked(frame, path, schema)[list(schema.to_schema().columns)]
    with disk.whole(path) as partial:
        if path.suffix == ".csv":
            checked.to_csv(partial, index=False, lineterminator="\n")
        else:
            checked.to_parquet(partial, index=False)


def read(path: Path, schema: type[Table]) -> pd.DataFrame:
    """The manifest at `path`, checked against `schema`.

    Raises FileNotFoundError saying what to run, and ValueError naming the file, the column and the values at fault.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there; run the stage that writes it (`dvc repro`)")
    if path.suffix == ".csv":  # where nothing tells the name 10 from a number, or the name null from none
        texts = {name: str for name, column in schema.to_schema().columns.items() if column.dtype.type is str}
        return _checked(pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""]), path, schema)
    return _checked(pd.read_parquet(path), path, schema)


def _checked(frame: pd.DataFrame, path: Path, schema: type[Table]) -> pd.DataFrame:
    try:
        return schema.validate(frame)
    except (pandera.errors.SchemaError, pandera.errors.SchemaErrors) as error:
        raise ValueError(f"{path}: is no table of {schema.__name__}: {' '.join(str(error).split())[:500]}") from error


def empty(schema: type[Table]) -> pd.DataFrame:
    """A table of `schema` with no row."""
    columns: dict[str, Any] = {name: column.dtype.type for name, column in schema.to_schema().columns.items()}
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})
