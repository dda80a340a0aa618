"""The viewer of pictures that pages embed: a border that slides between two of them, zoom, window and level; it needs no network.

A page holds `markup`, `STYLE` and `SCRIPT`, each beside its own, and the pictures in a script element of the id `data`:
{"cases": [...], "pictures": [data URIs], "chosen": {track: name of a layer}, "truth": whether the last layer of a case is the truth}.
A case is {"track", "condition", "kind", "image", "patient", "note": texts, "" for none, "height", "width": px of the whole picture,
"full": the greatest gray, "window": {"width", "level"} in fractions of that, "layers": [{"name", "psnr", "picture": place in "pictures"}]}.
"""

import base64
import hashlib
import json
from importlib import resources
from string import Template
from typing import Any

WHOLE = {"width": 1, "level": 0.5}  # the window of all grays


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


STYLE, SCRIPT, _MARKUP = (_read(name) for name in ("viewer.css", "viewer.js", "viewer.html"))


def markup(residuals: str, shown: bool) -> str:
    """The viewer's HTML; `residuals` names the check box of differences, and it is hidden unless `shown`."""
    return Template(_MARKUP).substitute(residuals=residuals, hidden="" if shown else "hidden").rstrip()


def embedded(data: Any) -> str:
    """`data` as JSON that may stand in a script element."""
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


def digest(text: str) -> str:
    """What a page's Content-Security-Policy knows a script or a style by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
