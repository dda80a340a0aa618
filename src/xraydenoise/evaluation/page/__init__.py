"""The comparison as one HTML page that needs no network: tables that read without scripts, and a viewer of the pictures."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from xraydenoise import disk, viewer
from xraydenoise.evaluation.page import pictures, sections
from xraydenoise.evaluation.page.content import Case, Content, LabelPair
from xraydenoise.viewer.pictures import SCREEN
from xraydenoise.viewer.text import plain

__all__ = ["LIMIT", "Case", "Content", "LabelPair", "html", "write"]

LIMIT = 10_000_000  # bytes; the page stays below
SLACK = 16  # bytes a picture, for its number in the data


def write(path: Path, content: Content) -> None:
    """Write the page, the same bytes for the same content; the file appears whole or not at all. Raises ValueError as `html` does."""
    disk.write(path, html(content))


def html(content: Content) -> str:
    """The page, less than `LIMIT` bytes: pictures are cut to their middle, and at last left out, until they fit, and the page says so.

    Raises ValueError for a picture that is no finite (H, W) or not of its case's shape, and where the text alone is too much.
    """
    shown = [pixels for case in content.cases for pixels in case.layers.values()]
    shown += [pixels for pair in content.worst_labels for pixels in (pair.input, pair.label)]
    _check(content)
    room = LIMIT - len(_page(content, pictures.SIDE, [""] * len(shown)).encode()) - SLACK * (len(shown) + 1)
    page = _page(content, *pictures.fit(shown, room))
    if (size := len(page.encode())) >= LIMIT:
        raise ValueError(f"the page has {size} bytes without a picture, and {LIMIT} is the limit; compare fewer methods or conditions")
    return page


def _check(content: Content) -> None:
    named = [(f"case {case.track}, {case.condition}, {case.image}", case.layers) for case in content.cases]
    named += [(f"label {pair.image}", {"input": pair.input, "label": pair.label}) for pair in content.worst_labels]
    for name, layers in named:
        shape = next(iter(layers.values())).shape
        for layer, pixels in layers.items():
            if pixels.ndim != 2 or pixels.shape != shape or not np.isfinite(pixels).all():
                raise ValueError(f"{plain(name)}: {layer} has the shape {pixels.shape} and must have {shape}, two-dimensional and finite")


def _page(content: Content, side: int, uris: Sequence[str]) -> str:
    """The page with these pictures: `uris` of all layers of all cases, then of input and label of each pair; "" is left out."""
    unique = list(dict.fromkeys(one for one in uris if one))
    place = {one: number for number, one in enumerate(unique)}
    left = iter(uris)
    cases = []
    for case in content.cases:
        taken = [next(left) for _ in case.layers]
        height, width = next(iter(case.layers.values())).shape
        layers = [
            {"name": plain(name), "psnr": f"{case.psnr[name]:.2f} dB" if name in case.psnr else "", "picture": place.get(one, -1)}
            for (name, one) in zip(case.layers, taken, strict=True)
        ]
        names = {name: plain(getattr(case, name)) for name in ("track", "condition", "kind", "image", "patient")}
        if all(taken) or not unique:
            own = {"height": height, "width": width, "full": SCREEN, "window": viewer.WHOLE, "note": ""}
            cases.append({**names, **own, "layers": layers})
    pairs = {number: (next(left), next(left)) for number in range(len(content.worst_labels))}
    data = {
        "chosen": {plain(track): plain(method) for track, method in content.chosen.items()},
        "truth": True,
        "cases": cases,
        "pictures": unique,
    }
    page, style, script = ((resources.files(__package__) / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    style, script = viewer.STYLE + style, viewer.SCRIPT + script
    return Template(page).substitute(
        style=style,
        style_hash=viewer.digest(style),
        script=script,
        script_hash=viewer.digest(script),
        data=viewer.embedded(data),
        summary=sections.summary(content),
        ranking=sections.ranking(content),
        curves=sections.curves(content),
        protocols=sections.protocols(content),
        cut=_cut(content, side, len(cases)),
        viewer=viewer.markup("Residuals", shown=bool(cases)),
        audit=sections.audit(content, {number: pair for number, pair in pairs.items() if all(pair) or not unique}),
        leakage=sections.leakage(content),
        card=sections.card(content),
        quarantine=sections.quarantine(content),
    )


def _cut(content: Content, side: int, cases: int) -> str:
    if not content.cases:
        return "No picture was kept."
    said = f"Pictures are stored without loss in {SCREEN + 1} grays."
    if any(max(pixels.shape) > side for case in content.cases for pixels in case.layers.values()):
        why = "" if side == pictures.SIDE else ", as this file stays below 10 MB"
        said += f" Only the middle {side} x {side} px of larger ones is shown{why}; PSNR is that of the whole picture."
    if cases < len(content.cases):
        said += f" {len(content.cases) - cases} of {len(content.cases)} cases are left out, as this file stays below 10 MB."
    return said
