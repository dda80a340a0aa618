"""Stage `label`: the target of track enhanced, made by Real-ESRGAN and audited; a run that was killed goes on where it was.

The network sees a region of the plain picture once, and each preset then enhances what it made: label_i = enhance_i(Real-ESRGAN(plain)).
`label.order: enhanced` keeps the other reading, Real-ESRGAN(enhance_i(plain)), for which the network sees every enhanced region.
"""

import math
import shutil
import time
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch

from xraydenoise import contracts, device, disk, enhancement, logs, resumable
from xraydenoise.data import store
from xraydenoise.labelling import Labeller, audit, lesions, measures, page, weights, worst
from xraydenoise.noise import draw_seed
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.stages import tracks

NOISE, ENHANCED = tracks.TRACKS / "noise", tracks.TRACKS / "enhanced"
OUT = Path("artifacts/label")
WORK = Path("work/label")  # what the network made; survives a kill, removed at the end

MARGIN = 32  # px of the plain picture around a region that the network sees too
NAMED = 3  # labels that an error names, the worst first

Row = dict[Hashable, Any]  # of contracts.Regions


Place = tuple[slice, slice]


class Source(NamedTuple):
    """One picture that the network sees, for the labels of one or more regions."""

    name: str
    rows: list[Row]  # the regions whose labels come from it
    read: Callable[[], np.ndarray]  # its pixels, float32 (H, W)
    inner: Place | None  # where the regions lie in it, if it is plain; None: it is the enhanced region itself
    spot: lesions.Spot | None  # where it has a place for a lesion
    paths: list[Path]  # of what the network makes of it as it is and, where it has a place for one, with a lesion

    def shown(self) -> list[np.ndarray]:
        """What the network sees, in the order of `paths`."""
        pixels = self.read()
        return [pixels] if self.spot is None else [pixels, lesions.insert(pixels, self.spot)]

    def made(self) -> list[np.ndarray]:
        """What the network made of it, float32 (H, W), in the order of `paths`; it may leave [0, 1] a little."""
        return [np.load(path, allow_pickle=False) for path in self.paths]


def run(params: Params) -> None:
    """Complete artifacts/tracks/enhanced (contracts.Track) and write artifacts/label (audit.Audit of all).

    Raises ValueError for weights that are not the pinned ones, before any work, for a label that is broken, and, with the audit written,
    for too many vetoes.
    """
    for earlier in (ENHANCED / "manifest.parquet", ENHANCED / "targets.npy"):
        earlier.unlink(missing_ok=True)
    shutil.rmtree(OUT, ignore_errors=True)
    for folder in (OUT, WORK):
        folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(params.machine.threads)
    place = device.pick(params.machine.device)
    labeller = Labeller(params.label, weights.FOLDER, place, torch.bfloat16 if device.bf16_supported(place) else torch.float32)
    regions = contracts.read(ENHANCED / tracks.REGIONS, contracts.Regions).sort_values("offset", ignore_index=True)
    stores = tracks.stores(ENHANCED)
    planned = list(sources(regions, stores, labeller))

    label_missing(planned, labeller, params.label.max_shift)

    table = audited(planned, stores, params)
    contracts.write(table, OUT / "audit.csv", audit.Audit)
    pairs = worst_pairs(planned, stores, table, params)
    worst.save(OUT / "worst.npz", pairs)
    disk.write(OUT / "worst.png", cv2.imencode(".png", worst.draw(pairs))[1].tobytes())
    disk.write(OUT / "audit.md", page.readable(table, params.label.veto, "worst.png"))
    stop(table, regions["split"], params.label.max_vetoed)

    with store.Writer(ENHANCED / "targets.npy") as writer:
        for source in planned:
            for row, label in zip(source.rows, labels(source, stores), strict=True):
                if writer.append(label) != row["offset"]:
                    raise ValueError(
                        f"{ENHANCED / tracks.REGIONS}: image {row['image']} does not follow the one before; run stage enhance again"
                    )
    taught = regions.assign(teaches=~table["vetoed"])
    contracts.write(taught[list(contracts.Track.to_schema().columns)], ENHANCED / "manifest.parquet", contracts.Track)
    shutil.rmtree(WORK)
    print(f"label: {page.share(table['vetoed'])} vetoed, so no model learns from them; {OUT}/audit.md tells why")


def sources(regions: pd.DataFrame, stores: tracks.Stores, labeller: Labeller) -> Iterator[Source]:
    """What the network must see for the labels of all `regions`, in their order."""
    if labeller.config.order == "enhanced":
        for row in regions.to_dict("records"):
            yield plan(row["image"], [row], partial(tracks.truth, stores, row), None, labeller)
        return
    whole = store.open_store(NOISE / "targets.npy")
    parents = contracts.read(NOISE / "manifest.parquet", contracts.Track).set_index("image").to_dict("index")
    for name, rows in regions.groupby("parent", sort=False):
        region = rows.iloc[0]
        (upper, rows_inside), (left, columns_inside) = (
            around(region[start], region[size]) for start, size in (("top", "height"), ("left", "width"))
        )
        read = partial(cut, whole, parents[name], (upper, left))
        yield plan(str(name), rows.to_dict("records"), read, (rows_inside, columns_inside), labeller)


def around(start: int, size: int) -> tuple[slice, slice]:
    """A region with its margin along one axis of the whole picture, which may end before, and the region in that."""
    first = max(0, start - MARGIN)
    return slice(first, start + size + MARGIN), slice(start - first, start - first + size)


def cut(whole: np.ndarray, parent: Row, place: Place) -> np.ndarray:
    """A part of one plain picture, float32 (H, W)."""
    return store.read(whole, parent["offset"], parent["height"], parent["width"])[place]


def plan(name: str, rows: list[Row], read: Callable[[], np.ndarray], inner: Place | None, labeller: Labeller) -> Source:
    """A source whose place for a lesion and whose paths follow from its pixels."""
    source = Source(name, rows, read, inner, lesions.place(read()), [])
    return source._replace(paths=[WORK / f"{labeller.key(pixels)}.npy" for pixels in source.shown()])


def label_missing(planned: list[Source], labeller: Labeller, max_shift: float) -> None:
    """Make what no earlier run left at the sources' paths; what is broken is not kept."""
    jobs = [(source, number) for source in planned for number in range(len(source.paths))]
    missing = [(source, number) for source, number in jobs if not resumable.sound(source.paths[number])]
    start, size = time.monotonic(), 0
    for source, number in progress(missing, "label", total=len(jobs), done=len(jobs) - len(missing)):
        pixels, path = source.shown()[number], source.paths[number]
        made = labeller(pixels)
        audit.refuse(source.name, pixels, made, max_shift)
        with resumable.whole(path) as unfinished:
            unfinished.write_bytes(store.npy(made))
        size += made.size
    times: dict[str, object] = {"pictures": len(missing), "megapixels": size / 1e6, "seconds": time.monotonic() - start}
    logs.write("label", times | {"device": labeller.device.type, "precision": str(labeller.precision).removeprefix("torch.")})


def labels(source: Source, stores: tracks.Stores) -> list[np.ndarray]:
    """The labels of its regions, float32 (H, W) in [0, 1].

    A plain source's is enhanced as each region was. Amplification is linear, so what the network changed is amplified alone, in the region
    and its margin, and added.
    """
    made: np.ndarray = np.clip(source.made()[0], 0, 1)
    if source.inner is None:
        return [made]
    gains = enhancement.gains([row["preset"] for row in source.rows])
    changes = enhancement.amplify(torch.from_numpy(made - source.read())[None, None], gains).numpy()  # (presets, 1, H, W)
    return [
        tracks.enhanced(tracks.amplified(stores, row) + change[source.inner], row)
        for row, (change,) in zip(source.rows, changes, strict=True)
    ]


def seen(row: Row, stores: tracks.Stores, params: Params) -> np.ndarray:
    """The input that a label is audited against, float32 (H, W): with noise.

    What a label does to a picture is what a model has to learn: from the noisy one, as system A's authors measured theirs.
    """
    generator = torch.Generator().manual_seed(draw_seed(params.seed, row["image"], "audit"))
    return tracks.noisy(stores, row, partial(params.label.noise, generator=generator))


def audited(planned: list[Source], stores: tracks.Stores, params: Params) -> pd.DataFrame:
    """The audit.Audit of all labels; one left by an earlier run may be broken by today's max_shift, which raises ValueError."""
    rows = []
    for source in planned:
        made = source.made()
        audit.refuse(source.name, source.read(), made[0], params.label.max_shift)
        survival = lesions.survival(made[0], made[1], source.spot) if source.spot else math.nan
        for row, label in zip(source.rows, labels(source, stores), strict=True):
            found = measures.measure(seen(row, stores, params), label, survival)
            judged = audit.judge(found, params.label.veto)
            facts = {"image": row["image"], "preset": row["preset"], "vetoed": judged[0].severity > 1, "reason": audit.reason(judged)}
            rows.append(facts | {"severity": judged[0].severity} | found._asdict())
    return pd.DataFrame(rows).round(6)


def worst_pairs(planned: list[Source], stores: tracks.Stores, table: pd.DataFrame, params: Params) -> list[worst.Pair]:
    """The worst labels and their inputs, as the stores would hold them, the worst first."""
    of = {row["image"]: source for source in planned for row in source.rows}
    pairs = []
    for image, reason in audit.hardest(table)[["image", "reason"]].head(page.WORST).itertuples(index=False):
        number = [row["image"] for row in of[image].rows].index(image)
        both = (seen(of[image].rows[number], stores, params).clip(0, 1), labels(of[image], stores)[number])
        pairs.append(worst.Pair(image, reason, *map(store.quantize, both)))
    return pairs


def stop(table: pd.DataFrame, splits: pd.Series, max_vetoed: float) -> None:
    """Raises ValueError, naming the worst labels and the way out, for more vetoes than allowed and for a split that is left without any."""
    named = [f"{image} ({reason})" for image, reason in audit.hardest(table)[["image", "reason"]].head(NAMED).itertuples(index=False)]
    worst_ones = f"the worst: {', '.join(named)}; look at {OUT}/audit.md, then"
    ways = "widen label.veto, or leave the preset at fault out of enhance.presets"
    if table["vetoed"].mean() > max_vetoed:
        raise ValueError(
            f"label: {page.share(table['vetoed'])} are vetoed, label.max_vetoed allows a share of {max_vetoed:g}; {worst_ones} {ways}"
        )
    for split, vetoed in table["vetoed"].groupby(splits, sort=False):
        if vetoed.all():
            raise ValueError(
                f"label: split {split} would keep none of its {len(vetoed)} labels; {worst_ones} raise enhance.images.{split}, {ways}"
            )
