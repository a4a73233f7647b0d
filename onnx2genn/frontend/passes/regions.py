"""What one neuron can compute of several sums: element-wise operators around products."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnx2genn.ir.functions import IDENTITY, is_function, operands
from onnx2genn.ir.graph import Graph, Node
from onnx2genn.ir.registry import entry_of, kind_of

_MOST_PORTS = 8
_PAIR = 2


@dataclass
class Region:
    """Element-wise operators that are together one function of several tensors.

    Attributes:
        end: Their last node.
        ports: The tensors, with the name that the body has for each.
        body: The operators.
    """

    end: Node
    ports: dict[str, str] = field(default_factory=dict)
    body: list[Node] = field(default_factory=list)


class Regions:
    """Finds around each product what its neurons can compute, too, and functions of functions.

    The latter are those of a sum of functions, as the amplitude of a spectrum. Rounded before a
    root or a logarithm, what is small would be lost.

    Args:
        graph: Canonical graph with shapes, functions of one tensor fused.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def all(self) -> list[Region]:
        """Return a region for each product or function of functions; several may be in one."""
        ends = {node.output: node for node in map(self._end, products(self._graph))}
        for node in self._graph.nodes:
            end = self._end(node) if self._adds_functions(node) else node
            if is_function(end) and end is not node:
                ends[end.output] = end
        found = []
        for end in ends.values():
            region = self._region(end)
            apart = [end] if len(region.ports) <= _MOST_PORTS else self._products_of(end)
            found += [region] if apart == [end] else [self._alone(node) for node in apart]
        return found

    def _adds_functions(self, node: Node) -> bool:
        data = operands(self._graph, node)
        return (
            node.op == "Add"
            and not node.domain
            and len(set(data)) == _PAIR
            and all(self._computes(name) for name in data)
        )

    def _end(self, product: Node) -> Node:
        """Walk on from a product over what alone reads it, to the last activation or product."""
        graph, end, node = self._graph, product, product
        while node.output != graph.output and len(graph.consumers[node.output]) == 1:
            (node,) = graph.consumers[node.output]
            if not self._fits(node, product.output):
                break
            data = operands(graph, node)
            if self._sends(node) or (len(data) == _PAIR and all(map(self._computes, data))):
                end = node
        return end

    def _fits(self, node: Node, like: str) -> bool:
        """Whether a neuron can compute a node: element-wise, and of a tensor's shape."""
        graph, data = self._graph, operands(self._graph, node)
        shapes = {graph.shapes.get(name) for name in (node.output, like)}
        if node.op == IDENTITY or len(shapes) > 1 or len(node.outputs) > 1:
            return False
        if node.op in ("Add", "Mul") and not node.domain:
            return True
        return len(data) == 1 and (is_function(node) or entry_of(node).elementwise)

    def _sends(self, node: Node) -> bool:
        """Whether a node has to become neurons: a product or an activation."""
        data = operands(self._graph, node)
        return kind_of(node) == "population" or (node.op == "Mul" and len(data) == _PAIR)

    def _computes(self, name: str) -> bool:
        """Whether a tensor is for one reader alone, and more than a sum."""
        graph, node = self._graph, self._graph.producers.get(name)
        if node is None or name == graph.output or len(graph.consumers[name]) > 1:
            return False
        if not self._fits(node, graph.consumers[name][0].output):
            return False
        return self._sends(node) or any(map(self._computes, operands(graph, node)))

    def _region(self, end: Node) -> Region:
        region = Region(end)
        self._write(region, end)
        return region

    def _write(self, region: Region, node: Node) -> None:
        """Write a node, after all before it that the region computes."""
        names = {}
        for name in dict.fromkeys(operands(self._graph, node)):
            if self._computes(name):
                self._write(region, self._graph.producers[name])
            else:
                names[name] = self._port(region, name)
        for part in node.body or (node,):
            region.body.append(part.renamed(names))

    def _port(self, region: Region, name: str) -> str:
        port = f"{region.end.output}/port_{len(region.ports)}"
        return region.ports.setdefault(name, port)

    def _products_of(self, end: Node) -> list[Node]:
        made = {node.output for node in self._region(end).body}
        return [node for node in products(self._graph) if node.output in made]

    def _alone(self, product: Node) -> Region:
        """Return the region of one product and nothing else."""
        region = Region(product)
        names = {name: self._port(region, name) for name in product.inputs}
        region.body.append(product.renamed(names))
        return region


def products(graph: Graph) -> list[Node]:
    """List the products of two tensors that both depend on the inputs.

    Args:
        graph: Canonical graph, functions of one tensor fused.
    """
    return [
        node
        for node in graph.nodes
        if node.op == "Mul" and not graph.constants.keys() & set(node.inputs)
    ]
