"""Code snippets of the model card that show how to use each exported file. The tests run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tutelage.export.record import File, Record
from tutelage.models import HUB, TIMM, is_given


@dataclass(frozen=True)
class Use:
    """A code snippet and the sentence that introduces it."""

    text: str
    code: str
    language: str = "python"


def uses(record: Record, repository: str | None) -> list[Use]:
    """Return a snippet that reads an image and one snippet per file, to be run in the export folder."""
    return [_image(record), *(_USES[file.format](file, record, repository) for file in record.files)]


def _image(record: Record) -> Use:
    height, width = record.input["size"]
    size, background = f"({width}, {height}), Image.Resampling.BILINEAR", record.input["rendering"]["background"]
    fitted = {
        "crop": f"ImageOps.fit(photo, {size}, bleed={(1 - record.input['crop']) / 2:g})",
        "squash": f"photo.resize({size})",
        "pad": f"ImageOps.pad(photo, {size}, color={background!r})",
    }[record.input["fit"]]
    code = f"""import json
import numpy
from PIL import Image, ImageOps

classes = json.load(open("classes.json"))
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGBA")
photo = Image.alpha_composite(Image.new("RGBA", photo.size, "{background}"), photo).convert("RGB")
photo = {fitted}
images = numpy.asarray(photo).transpose(2, 0, 1)[None].copy()  # 1×3×{height}×{width}, uint8
mean = numpy.reshape({record.input["mean"]}, (3, 1, 1))
std = numpy.reshape({record.input["std"]}, (3, 1, 1))
normalized = ((images / 255 - mean) / std).astype("float32")"""
    return Use("Read an image and preprocess it for the model:", code)


def _takes(file: File) -> str:
    return "images" if file.preprocessing else "normalized"


def _folder(file: File, record: Record, repository: str | None) -> Use:
    if record.model.startswith((TIMM, HUB)) and not record.extended:
        name = f"hf-hub:{repository}" if repository else "local-dir:."
        load = f'import timm\nimport torch\n\nmodel = timm.create_model("{name}", pretrained=True).eval()'
        text = f"{file.file} with timm:"
    elif is_given(record.model) and record.extended:
        load = (
            "import torch\nimport tutelage\nfrom tutelage.models import made_known\n\n"
            f"network = ...  # {record.model}, built by your own code\n"
            'with made_known(network):\n    model = tutelage.create_model(".").eval()'
        )
        text = f"{file.file} with your own code for the network:"
    elif is_given(record.model):
        load = (
            "import torch\nfrom tutelage.models import load_weights\n\n"
            f"model = ...  # {record.model}, built by your own code\n"
            f'load_weights(model, "{file.file}")\nmodel.eval()'
        )
        text = f"{file.file} with your own code for the network:"
    else:
        load = 'import torch\nimport tutelage\n\nmodel = tutelage.create_model(".").eval()'
        text = f"{file.file} with tutelage:"
    return Use(text, f"{load}\nprint(classes[model(torch.from_numpy(normalized)).argmax()])")


def _onnx(file: File, record: Record, repository: str | None) -> Use:
    code = f'''import onnxruntime

session = onnxruntime.InferenceSession("{file.file}")
print(classes[session.run(None, {{"images": {_takes(file)}}})[0].argmax()])'''
    return Use(f"{file.file} with onnxruntime, any batch size:", code)


def _executorch(file: File, record: Record, repository: str | None) -> Use:
    code = f'''import torch
from executorch.runtime import Runtime

forward = Runtime.get().load_program("{file.file}").load_method("forward")
print(classes[forward.execute([torch.from_numpy({_takes(file)})])[0].argmax()])'''
    return Use(f"{file.file} with ExecuTorch, one image per call:", code)


def _program(file: File, record: Record, repository: str | None) -> Use:
    code = f'''import torch

model = torch.export.load("{file.file}").module()
print(classes[model(torch.from_numpy({_takes(file)})).argmax()])'''
    return Use(f"{file.file} with PyTorch alone, any batch size:", code)


_USES: Mapping[str, Callable[[File, Record, str | None], Use]] = {
    "safetensors": _folder,
    "onnx": _onnx,
    "int8": _onnx,
    "executorch": _executorch,
    "torch_export": _program,
}
