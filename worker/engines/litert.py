"""LiteRT: a model's classifiers in one `.tflite` graph, run by one invoke per batch."""

from __future__ import annotations

from collections.abc import Sequence

from ai_edge_litert.interpreter import Interpreter

from shared.manifest import Model
from shared.messages import Tensor
from worker.engines import TOP, Answer, likeliest


class LitertEngine:
    """One interpreter, whose graph is resized when the size of a batch changes.

    Going back to a size that was run before costs a tenth of a millisecond.
    """

    name = "litert"

    def __init__(self, model: Model, threads: int) -> None:
        self._interpreter = Interpreter(model_path=str(model.litert), num_threads=threads)
        inputs = {entry["name"]: entry for entry in self._interpreter.get_input_details()}
        outputs = self._interpreter.get_output_details()
        names = [classifier.name for classifier in model.classifiers]
        widths = [len(classifier.labels) for classifier in model.classifiers]
        if set(inputs) != set(names) or [entry["shape"][1] for entry in outputs] != widths:
            raise ValueError(f"{model.litert}: its inputs or outputs are not model.toml's")
        self._inputs = [inputs[name]["index"] for name in names]
        self._outputs = [entry["index"] for entry in outputs]
        self._size = 0

    def run(self, tensors: Sequence[Tensor], top_k: int = TOP) -> list[Answer]:
        """Run all classifiers in one invoke; see `worker.engines.Engine.run`."""
        if len(tensors[0]) != self._size:
            for index, tensor in zip(self._inputs, tensors, strict=True):
                self._interpreter.resize_tensor_input(index, tensor.shape)
            self._interpreter.allocate_tensors()
            self._size = len(tensors[0])
        for index, tensor in zip(self._inputs, tensors, strict=True):
            self._interpreter.set_tensor(index, tensor)
        self._interpreter.invoke()
        return [likeliest(self._interpreter.get_tensor(index), top_k) for index in self._outputs]
