"""A part of a LiteRT graph: what one of its outputs needs, and nothing else."""

from __future__ import annotations

from typing import Any

import flatbuffers  # type: ignore[import-untyped]  # ships no types
from ai_edge_litert import schema_py_generated as schema


def with_one_output(content: bytes, place: int) -> bytes:
    """Return the graph with none but the output at `place`, and the inputs that it depends on.

    The bodies of loops, which are graphs of their own, stay as they are.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    graph, *bodies = model.subgraphs
    graph.outputs = [graph.outputs[place]]
    _drop_what_is_not_needed(graph)
    used = {index for operator in graph.operators for index in _reads(operator)}
    for index, tensor in enumerate(graph.tensors):
        if index not in used:
            tensor.buffer = 0  # by the format's rule, the empty one
    kept = {tensor.buffer for each in (graph, *bodies) for tensor in each.tensors}
    for index, buffer in enumerate(model.buffers):
        if index not in kept:
            buffer.data = None
    model.signatureDefs, model.metadata, model.metadataBuffer = [], [], []
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _drop_what_is_not_needed(graph: Any) -> None:
    needed = set(graph.outputs)
    kept = []
    for operator in reversed(graph.operators):  # they stand in the order of their execution
        if needed & set(operator.outputs):
            needed |= set(_reads(operator))
            kept.append(operator)
    graph.operators = kept[::-1]
    graph.inputs = [index for index in graph.inputs if index in needed]


def _reads(operator: Any) -> list[int]:
    return [int(index) for index in operator.inputs if index >= 0]
