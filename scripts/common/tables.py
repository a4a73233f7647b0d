"""What the README's tables on accuracy and operations hold: rows by the heads of their columns."""

from __future__ import annotations

ACCURACY = {
    "`few-spike` T=8": "few-spike:8",
    "T=6": "few-spike:6",
    "T=4": "few-spike:4",
    "T=4, signed": "few-spike:4,signed=true",
    "`two-phase` T=16": "two-phase:16",
    "graded, 4 bit, T=1": "graded:1",
    "T=2": "graded:2",
    "`rate` T=16": "rate:16",
    "T=32": "rate:32",
}
IMAGENET = (
    "few-spike:10", "few-spike:8", "few-spike:6", "few-spike:5", "few-spike:4",
    "few-spike:6,signed=true", "few-spike:5,signed=true", "few-spike:4,signed=true",
    "first-spike:64", "two-phase:32", "two-phase:16",
    "rate:64", "rate:32",
)  # fmt: skip
OPERATIONS = {
    "`few-spike` T=8": "few-spike:8",
    "T=4": "few-spike:4",
    "`two-phase` T=16": "two-phase:16",
    "graded T=1": "graded:1",
    "`rate` T=16": "rate:16",
}
OPERATIONS_NETWORKS = {"mnist": "MNIST", "cifar10_vgg": "CIFAR-10, VGG"}
# Network, row, number of test images.
_NOT_NORMALISED = "threshold=none,weight_maximum=false"
TENSORGENN = (
    ("mnist", "diehl", 10_000),
    ("mnist", f"diehl,{_NOT_NORMALISED}", 10_000),
    ("mnist", "few-spike:8", 10_000),
    ("cifar10_plain", "diehl", 1_000),
    ("cifar10_plain", f"diehl,{_NOT_NORMALISED}", 1_000),
    ("cifar10_plain", "diehl:3750", 200),
    ("cifar10_plain", f"diehl:3750,{_NOT_NORMALISED}", 200),
    ("cifar10_plain", "few-spike:8", 10_000),
)
# The networks of each column; then what was measured, against what, and both in the records.
SPEED_NETWORKS = {
    "MNIST": ("mnist", "simple_cnn"),
    "CIFAR-10, CNN": ("cifar10_plain",),
    "ResNet": ("cifar10_resnet",),
    "VGG": ("cifar10_vgg",),
}
SPEED = (
    (
        "embedded engine, `few-spike` T=8",
        "onnxruntime's ANN",
        ("few-spike T=8", "ANN"),
    ),
    (
        "embedded engine, `rate` T=32",
        "onnxruntime's ANN, divided by 32",
        ("rate T=32", "ANN / 32"),
    ),
    ("the same, `lookahead=0`", "", ("rate T=32, lookahead=0", "ANN / 32")),
    (
        "GeNN, one CPU thread, `few-spike` T=8",
        "onnxruntime's ANN",
        ("GeNN, few-spike T=8", "ANN"),
    ),
    (
        "GeNN, one CPU thread, `rate` T=32, `lookahead=0`",
        "onnxruntime's ANN, divided by 32",
        ("GeNN, rate T=32, lookahead=0", "ANN / 32"),
    ),
    (
        "embedded engine, `rate` T=32, `lookahead=0`",
        "SpikingJelly 2.0 ann2snn, T=32",
        ("rate T=32, lookahead=0", "SpikingJelly"),
    ),
    (
        "GeNN, one CPU thread, `few-spike` T=8",
        "ml_genn 2.3, FewSpike K=8",
        ("few-spike T=8", "ml_genn"),
    ),
    (
        "the same",
        "the same, compiled with `optimize_code`",
        ("few-spike T=8", "ml_genn, optimize_code"),
    ),
    (
        "the same",
        "the embedded engine, one thread",
        ("few-spike T=8", "embedded"),
    ),
    (
        "the same",
        "GeNN, with synapse groups (`connectivity=portable`)",
        ("few-spike T=8", "portable"),
    ),
    (
        "GeNN, one CPU thread, `rate` T=100, `lookahead=0`",
        "ml_genn 2.3, IF input T=100",
        ("rate T=100, lookahead=0", "ml_genn"),
    ),
    (
        "the same",
        "the same, compiled with `optimize_code`",
        ("rate T=100, lookahead=0", "ml_genn, optimize_code"),
    ),
    (
        "the same",
        "the embedded engine, one thread",
        ("rate T=100, lookahead=0", "embedded"),
    ),
    (
        "the same",
        "GeNN, with synapse groups (`connectivity=portable`)",
        ("rate T=100, lookahead=0", "portable"),
    ),
)
SPEED_SCRIPTS = {
    "measure/benchmarks.py": "the embedded engine and GeNN",
    "measure/speed_ml_genn.py": "ml_genn",
}
# Networks and engines of the table on what they cost.
COSTS_NETWORKS = {
    "digits": "digits (the example)",
    "mnist": "MNIST",
    "cifar10_plain": "CIFAR-10, CNN",
    "cifar10_resnet": "CIFAR-10, ResNet",
    "cifar10_vgg": "CIFAR-10, VGG",
    "efficientnet_lite0": "EfficientNet-Lite0, 224 x 224",
}
COSTS = {
    "ANN": "onnxruntime's ANN",
    "few-spike T=8": "embedded, `few-spike` T=8",
    "rate T=32": "embedded, `rate` T=32",
    "GeNN, few-spike T=8": "GeNN, one CPU thread, `few-spike` T=8",
    "GeNN, rate T=32": "GeNN, one CPU thread, `rate` T=32",
}
