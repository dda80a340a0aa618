"""A trained network as one ONNX file, which ONNX Runtime and others run without torch."""

import importlib
import json
import logging
import warnings
from importlib.metadata import version
from pathlib import Path

import torch

from xraydenoise import denoise, files, inference, weights

OPSET = 20  # of 2023; ONNX Runtime reads it, and the file format that torch writes (IR 10), since 1.18
AXES = {0: "batch", 2: "height", 3: "width"}  # any size
SHAPE = (2, 1, 67, 91)  # of the example that is traced; a length of 1, or one that a network's halvings divide, might be taken for a rule
LICENCE = (
    "MIT; trained on pictures of NIH ChestX-ray14, provided by the NIH Clinical Center (https://nihcc.app.box.com/v/ChestXray-NIHCC; Wang "
    "et al., IEEE CVPR 2017)"
)
OWN = "that of whoever trained it; the file does not tell"


def onnx(name: str | Path, output: Path, overwrite: bool = False) -> None:
    """Write the network `name`, as `load_denoiser` has it, to `output`: `noisy`, float32 (B, 1, H, W), in, `clean` of the same shape out.

    Any B, H and W of 1 or more will do. Its metadata tell how a picture is brought to the range that the network knows, and back, which
    the file leaves to its caller, as it leaves tiles. Raises as `load_denoiser` does, FileExistsError where there is such a file and no
    `overwrite`, and ModuleNotFoundError where the extra `onnx` is not installed.
    """
    for needed in ("onnx", "onnxscript"):  # torch tells of them in its own way
        importlib.import_module(needed)
    from onnx import helper

    if output.exists() and not overwrite:
        raise FileExistsError(f"{output}: is there already; give another name, or --overwrite")
    network, digest = denoise.load_network(name, torch.device("cpu"))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which no network here needs
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            network.to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
            (torch.zeros(SHAPE),),
            input_names=["noisy"],
            output_names=["clean"],
            dynamic_shapes=(AXES,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.ClearField("metadata_props")  # torch's notes of where in the source each came from, by the paths of this machine
    helper.set_model_props(model, metadata(str(name), digest))
    model.producer_name, model.producer_version = "xraydenoise", version("xraydenoise")
    files.write(output, model.SerializeToString())


def metadata(name: str, digest: str) -> dict[str, str]:
    """What a reader needs beside the network: where it is from, and how it is called."""
    low, high = inference.ROBUST
    least, most = -inference.BEYOND, 1 + inference.BEYOND
    still = f"{inference.STILL} x {inference.STILL} px"
    return {
        "name": name if name in weights.PACKAGED else Path(name).name,
        "weights_sha256": digest,
        "xraydenoise_version": version("xraydenoise"),
        "input": "noisy: float32 (B, 1, H, W), gray pictures of any size, in the range told below",
        "output": "clean: float32 (B, 1, H, W), the same pictures without noise, in the same range",
        "range": (
            f"low and high are the percentiles {low} and {high} of a picture's values, those in squares of {still} of one value left "
            f"out; noisy = clip((values - low) / (high - low), {least}, {most}), in those squares cut to [0, 1]; "
            "where low = high there is nothing to do; "
            "denoised = values - (noisy - clean) * (high - low), but values themselves in those squares"
        ),
        "percentiles": json.dumps([low, high]),
        "clip": json.dumps([least, most]),
        "licence": LICENCE if name in weights.PACKAGED else OWN,
        "warning": "Not for diagnostic use.",
    }
