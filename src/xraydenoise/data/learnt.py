"""What a network learnt from, kept beside its weights: ids and signatures of pictures, so that a test can tell which it has seen."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from xraydenoise.data import duplicates

FILE = "learnt_from.safetensors"


class Learnt(NamedTuple):
    """Pictures that a network was trained on or chosen by."""

    images: tuple[str, ...]  # content ids
    signatures: np.ndarray  # float16 (N, duplicates.LENGTH), in the same order

    def joined(self, other: "Learnt") -> "Learnt":
        """The pictures of both."""
        return Learnt(self.images + other.images, np.concatenate([self.signatures, other.signatures]))

    def content(self) -> bytes:
        """The same pictures as a file; in the order of their ids, each once."""
        order = np.unique(np.array(self.images, dtype=str), return_index=True)[1]
        images = [self.images[place] for place in order]
        return save({"signatures": np.ascontiguousarray(self.signatures[order])}, {"images": json.dumps(images)})


NOTHING = Learnt((), np.zeros((0, duplicates.LENGTH), np.float16))


def load(folder: Path) -> Learnt | None:
    """What FILE in `folder` tells; None where there is none. Raises ValueError naming a file that is damaged."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            images, signatures = tuple(json.loads(file.metadata()["images"])), file.get_tensor("signatures")
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: does not tell what the network learnt from: {' '.join(str(error).split())}; take it away") from error
    if signatures.shape != (len(images), duplicates.LENGTH):
        raise ValueError(f"{path}: has signatures {signatures.shape} of {len(images)} pictures; take it away")
    return Learnt(images, signatures)


def seen(learnt: Learnt, images: Sequence[str], signatures: np.ndarray) -> frozenset[str]:
    """Which of `images` the network has seen: by their ids, or by their `signatures` (N, LENGTH), copies that were changed or turned."""
    alike = duplicates.among(signatures, learnt.signatures)
    known = set(learnt.images)
    return frozenset(image for image, copy in zip(images, alike, strict=True) if copy or image in known)
