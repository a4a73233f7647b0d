"""Architectures with random weights, as small as they can be and still have all their parts."""

import numpy as np

from helpers.onnx_models import model, node


class Builder:
    """Writes a network layer by layer; every method returns the name of what it computes."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape
        self.nodes: list = []
        self.weights: dict[str, np.ndarray] = {}
        self.sizes = {"x": shape[0]}
        self.random = np.random.default_rng(0)

    def op(self, op: str, *inputs: str, channels: int | None = None, **attributes) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(op, " ".join(inputs), name, **attributes))
        self.sizes[name] = channels or self.sizes[inputs[0]]
        return name

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.weights)}"
        self.weights[name] = array
        return name

    def _layer(self, op, x, channels, shape, fan_in, **attributes):
        weight = self.constant(self.random.normal(0, (2 / fan_in) ** 0.5, shape).astype("f4"))
        bias = self.constant(self.random.normal(0, 0.1, channels).astype("f4"))
        return self.op(op, x, weight, bias, channels=channels, **attributes)

    def conv(self, x, channels, width=3, stride=1, group=1):
        axes = len(self.shape) - 1
        shape = (channels, self.sizes[x] // group, *[width] * axes)
        attributes = {"pads": [width // 2] * 2 * axes, "strides": [stride] * axes, "group": group}
        return self._layer("Conv", x, channels, shape, np.prod(shape[1:]), **attributes)

    def dense(self, x, channels):
        return self._layer("Gemm", x, channels, (self.sizes[x], channels), self.sizes[x])

    def norm(self, x):
        n = self.sizes[x]
        scale, bias, mean, var = (self.random.uniform(0.5, 1.5, n).astype("f4") for _ in range(4))
        inputs = [self.constant(item) for item in (scale, bias - 1, mean - 1, var)]
        return self.op("BatchNormalization", x, *inputs)

    def relu(self, x):
        return self.op("Relu", x)

    def relu6(self, x):
        return self.op("Clip", x, self.constant(np.float32(0)), self.constant(np.float32(6)))

    def max_pool(self, x, width=2, stride=2, pad=0):
        axes = len(self.shape) - 1
        attributes = {"kernel_shape": [width] * axes, "pads": [pad] * 2 * axes}
        return self.op("MaxPool", x, strides=[stride] * axes, **attributes)

    def mean_pool(self, x):
        axes = len(self.shape) - 1
        return self.op("AveragePool", x, kernel_shape=[2] * axes, strides=[2] * axes)

    def concat(self, *parts):
        return self.op("Concat", *parts, channels=sum(self.sizes[x] for x in parts), axis=1)

    def classify(self, x, classes=4):
        return self.dense(self.op("Flatten", self.op("GlobalAveragePool", x)), classes)

    def model(self, x):
        self.op("Identity", x)
        self.nodes[-1].output[0] = "y"
        return model(self.nodes, {"x": ["N", *self.shape]}, self.weights)


def mlp():
    b = Builder(12)
    return b.model(b.dense(b.relu(b.dense(b.relu(b.dense("x", 16)), 16)), 4))


def lenet():
    b = Builder(1, 12, 12)
    x = b.mean_pool(b.relu(b.conv("x", 4, 5)))
    x = b.op("Flatten", b.mean_pool(b.relu(b.conv(x, 8))), channels=8 * 9)
    return b.model(b.dense(b.relu(b.dense(x, 16)), 4))


def vgg():
    b = Builder(3, 8, 8)
    x = "x"
    for channels in (6, 8):
        x = b.relu(b.norm(b.conv(x, channels)))
        x = b.max_pool(b.relu(b.norm(b.conv(x, channels))))
    return b.model(b.classify(x))


def _block(b, x, channels, stride):
    h = b.norm(b.conv(b.relu(b.norm(b.conv(x, channels, stride=stride))), channels))
    if stride > 1 or b.sizes[x] != channels:
        x = b.norm(b.conv(x, channels, 1, stride))
    return b.relu(b.op("Add", h, x))


def resnet18():
    """Stem with max pooling, then stages of two blocks."""
    b = Builder(3, 16, 16)
    x = b.max_pool(b.relu(b.norm(b.conv("x", 4, 7, 2))), 3, 2, 1)
    for channels, stride in ((4, 1), (8, 2)):
        x = _block(b, _block(b, x, channels, stride), channels, 1)
    return b.model(b.classify(x))


def resnet20():
    """Three stages without a pool."""
    b = Builder(3, 8, 8)
    x = b.relu(b.norm(b.conv("x", 4)))
    for channels, stride in ((4, 1), (6, 2), (8, 2)):
        x = _block(b, x, channels, stride)
    return b.model(b.classify(x))


def mobilenet_v1():
    b = Builder(3, 8, 8)
    x = b.relu6(b.norm(b.conv("x", 6, stride=2)))
    for channels, stride in ((8, 1), (12, 2)):
        x = b.relu6(b.norm(b.conv(x, b.sizes[x], 3, stride, b.sizes[x])))
        x = b.relu6(b.norm(b.conv(x, channels, 1)))
    return b.model(b.classify(x))


def mobilenet_v2():
    """Inverted residuals with linear bottlenecks."""
    b = Builder(3, 8, 8)
    x = b.relu6(b.norm(b.conv("x", 4)))
    for channels, stride in ((4, 1), (6, 2), (6, 1)):
        h = b.relu6(b.norm(b.conv(x, 3 * b.sizes[x], 1)))
        h = b.relu6(b.norm(b.conv(h, b.sizes[h], 3, stride, b.sizes[h])))
        h = b.norm(b.conv(h, channels, 1))
        x = b.op("Add", x, h) if stride == 1 and b.sizes[x] == channels else h
    return b.model(b.classify(b.relu6(b.conv(x, 8, 1))))


def densenet():
    """BatchNormalization and ReLU before each convolution; everything is concatenated."""
    b = Builder(3, 8, 8)
    x = b.conv("x", 4)
    for _ in range(3):
        x = b.concat(x, b.conv(b.relu(b.norm(x)), 3))
    x = b.mean_pool(b.conv(b.relu(b.norm(x)), 6, 1))
    return b.model(b.classify(b.relu(b.norm(x))))


def inception():
    b = Builder(3, 8, 8)
    x = b.relu(b.conv("x", 6))
    x = b.concat(
        b.relu(b.conv(x, 3, 1)),
        b.relu(b.conv(b.relu(b.conv(x, 3, 1)), 4)),
        b.relu(b.conv(b.relu(b.conv(x, 2, 1)), 3, 5)),
        b.relu(b.conv(b.max_pool(x, 3, 1, 1), 3, 1)),
    )
    return b.model(b.classify(b.max_pool(x)))


def squeezenet():
    b = Builder(3, 8, 8)
    x = b.max_pool(b.relu(b.conv("x", 6)), 3, 2, 1)
    for _ in range(2):
        squeezed = b.relu(b.conv(x, 3, 1))
        x = b.concat(b.relu(b.conv(squeezed, 4, 1)), b.relu(b.conv(squeezed, 4)))
    return b.model(b.op("Flatten", b.op("GlobalAveragePool", b.relu(b.conv(x, 4, 1)))))


def unet():
    """Down by max pooling, up by a transposed convolution and by resizing, with skips."""
    b = Builder(2, 8, 8)
    first = b.relu(b.conv("x", 4))
    second = b.relu(b.conv(b.max_pool(first), 6))
    x = b.relu(b.conv(b.max_pool(second), 8))
    x = b._layer("ConvTranspose", x, 6, (8, 6, 2, 2), 8, strides=[2, 2])
    x = b.relu(b.conv(b.concat(b.relu(x), second), 6))
    scales = b.constant(np.array([1, 1, 2, 2], np.float32))
    x = b.op("Resize", x, "_", scales, mode="linear")
    return b.model(b.conv(b.relu(b.conv(b.concat(x, first), 4)), 1, 1))


def audio():
    """One axis, one channel per Mel band, dilated residual convolutions."""
    b = Builder(6, 32)
    x = b.max_pool(b.relu(b.norm(b.conv("x", 8, 5))))
    x = b.relu(b.op("Add", b.conv(b.relu(b.conv(x, 8)), 8), x))
    return b.model(b.classify(b.mean_pool(x)))


ARCHITECTURES = {
    item.__name__: item
    for item in (
        mlp, lenet, vgg, resnet18, resnet20, mobilenet_v1, mobilenet_v2, densenet, inception,
        squeezenet, unet, audio,
    )
}  # fmt: skip
