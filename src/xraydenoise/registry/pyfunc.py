"""The registered model, as MLflow runs it from this very file, with the weights and the code of the network beside it.

`predict` is `inference.Denoiser.__call__`, as `xraydenoise denoise` and the stages that score call it: an array of one gray picture (H, W)
or of several, (B, H, W) or (B, 1, H, W), of uint8, uint16 or floats, in; the same shape and type out.

Over REST (`mlflow models serve`) it takes gray PNG files of 8 or 16 bit and any sizes, as base64 text: {"inputs": ["iVBORw0...", ...]}, and
gives back such files of the same depth. JSON has no type for pixels, so nested lists of numbers are read as floats, and floats come out.
What is asked so is bounded: a request of more than `MEGAPIXELS` is answered with status 413, and one that comes while `REQUESTS` or
`MEGAPIXELS` are in work with 429, both at once; whoever is admitted has an answer before the server's time limit.
"""

import base64
import binascii
import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import mlflow
import numpy as np
from mlflow.environment_variables import MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    BAD_REQUEST,
    DEADLINE_EXCEEDED,
    INTERNAL_ERROR,
    REQUEST_LIMIT_EXCEEDED,
)
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from xraydenoise import checksums, inference
from xraydenoise.data import picture, png

MEGAPIXELS = 32.0  # of a request, and of all that are admitted: `best` takes 40 s for them on two cores, and a server gives 60
REQUESTS = 4  # that are admitted, one in work at a time; MLflow's server has five threads at least, so that one is free to refuse
CODES = {400: BAD_REQUEST, 413: BAD_REQUEST, 429: REQUEST_LIMIT_EXCEEDED, 500: INTERNAL_ERROR, 504: DEADLINE_EXCEEDED}  # by status


class RequestError(MlflowException, ValueError):
    """Why a request has no answer: MLflow's server gives the status and this text, and nothing of its own code, paths or pixels."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text, CODES[status])
        self.status, self.text = status, text

    def get_http_status_code(self) -> int:
        return self.status

    def serialize_as_json(self) -> str:
        self.message = self.text  # the server has put the whole request before it
        return str(super().serialize_as_json())  # type: ignore[no-untyped-call]


class Denoiser(PythonModel):
    """A trained network that takes and gives NumPy arrays, or the text of PNG files."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights, onto a GPU where there is one. Raises ValueError where a file of the model is not as it was registered."""
        folder = Path(context.artifacts["trained"])
        try:
            checksums.check(folder.parents[1])
        except (ValueError, OSError) as error:
            raise ValueError(f"the model is damaged: {error}; load another version, or register it again") from error
        self.denoise = inference.trained(folder)
        self.admitted: list[float] = []  # megapixels, a number a request
        self.counting, self.working = threading.Lock(), threading.Lock()

    def predict(self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:  # noqa: ARG002
        """The denoised picture or pictures. Raises ValueError naming the type, shape or values that it cannot take."""
        try:
            if isinstance(model_input, np.ndarray) and model_input.dtype == object:  # what a server makes of JSON
                return self._asked(model_input)
            return self.denoise(model_input)
        except MlflowException:
            raise
        except ValueError as error:
            raise RequestError(400, str(error)) from error
        except Exception as error:
            logging.getLogger(__name__).exception("a request failed")
            raise RequestError(500, f"failed with {type(error).__name__}; the server's log has more") from error

    def _asked(self, entries: np.ndarray) -> np.ndarray:
        """The answer to a request: PNG files for PNG files, numbers for numbers."""
        latest = time.monotonic() + MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT.get()  # type: ignore[no-untyped-call]
        if not (entries.size and all(isinstance(entry, str) for entry in entries.flat)):
            pixels = numbers(entries)
            with self._turn(pixels.size / 1e6, latest):
                return self.denoise(pixels)
        files = [content(text, place) for place, text in enumerate(entries.flat)]
        with self._turn(sum(megapixels(file, place) for place, file in enumerate(files)), latest):
            answers = []
            for place, file in enumerate(files):
                if time.monotonic() > latest:  # its client has the server's 504 by now
                    raise RequestError(504, f"took too long; {place} of {len(files)} pictures were done")
                answers.append(self._file(file, place))
        return np.array(answers, object).reshape(entries.shape)

    @contextlib.contextmanager
    def _turn(self, wanted: float, latest: float) -> Iterator[None]:
        """A request of so many megapixels in work, alone. Raises RequestError where it is too large, or too much is admitted already."""
        if wanted > MEGAPIXELS:
            raise RequestError(413, f"inputs have {wanted:.1f} megapixels; a request may have {MEGAPIXELS:g}")
        with self.counting:
            if len(self.admitted) >= REQUESTS or sum(self.admitted) + wanted > MEGAPIXELS:
                busy = f"{len(self.admitted)} requests of {sum(self.admitted):.1f} megapixels are in work"
                raise RequestError(429, f"{busy}, of at most {REQUESTS} and {MEGAPIXELS:g}; ask again in some seconds")
            self.admitted.append(wanted)
        try:
            if not self.working.acquire(timeout=max(latest - time.monotonic(), 0)):
                raise RequestError(504, "took too long; none of its pictures was done")
            try:
                yield
            finally:
                self.working.release()
        finally:
            with self.counting:
                self.admitted.remove(wanted)

    def _file(self, data: bytes, place: int) -> str:
        """A PNG file -> the same picture denoised, as text."""
        with said(place):
            pixels, bits = png.read(data, MEGAPIXELS)
            gray = picture.gray(pixels, 2**bits - 1)
        return base64.b64encode(cv2.imencode(".png", self.denoise(gray))[1].tobytes()).decode("ascii")


def content(text: str, place: int) -> bytes:
    """The PNG file that is entry `place` of a request. Raises ValueError where it is none."""
    with said(place):
        data = base64.b64decode(text, validate=True)
        if not data.startswith(png.MAGIC):
            raise ValueError(f"begins with {data[:8].hex(' ')}, as no PNG file does")
        return data


def megapixels(data: bytes, place: int) -> float:
    """What a PNG file's header tells, which could be any size. Raises ValueError where it tells none."""
    with said(place):
        height, width = png.size(data)
        return height * width / 1e6


@contextlib.contextmanager
def said(place: int) -> Iterator[None]:
    """Raise ValueError that names the entry of a request where the block cannot read it."""
    try:
        yield
    except (binascii.Error, ValueError, picture.Refused) as error:
        raise ValueError(f"inputs[{place}]: expected a gray PNG file as base64 text; {error}") from error


def numbers(entries: np.ndarray) -> np.ndarray:
    """JSON's numbers as float64. Raises ValueError where they are none, or of pictures of several sizes."""
    try:
        return entries.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("inputs must be numbers in nested lists of equal length, or PNG files as base64 text") from error


mlflow.models.set_model(Denoiser())
