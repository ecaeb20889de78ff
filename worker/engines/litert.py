"""LiteRT: a model's classifiers in one `.tflite` graph, or each in its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from shared.manifest import Classifier, Model
from shared.messages import Tensor
from worker.engines import TOP, Answer, Floats, likeliest
from worker.engines.pruning import with_one_output


class LitertEngine:
    """An interpreter for all classifiers together, and one for each that is asked alone.

    A graph cannot be run in part, so that one is cut out: when it is first asked for, in 0.1 to
    0.5 s, since most workers never are, and it takes memory of its own.
    """

    name = "litert"

    def __init__(self, model: Model, threads: int) -> None:
        self._model = model
        self._threads = threads
        self._all = tuple(range(len(model.classifiers)))
        self._graphs: dict[tuple[int, ...], _Graph] = {}
        if model.litert is not None:
            whole = Interpreter(str(model.litert), num_threads=threads)
            self._graphs[self._all] = _Graph(whole, model.classifiers)
        else:
            for place in self._all:
                self._one(place)

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        """Run all classifiers in one invoke; see `worker.engines.Engine.run`."""
        places = tuple(asked) or self._all
        if places in self._graphs:
            softmaxes = self._graphs[places].run(tensors)
        else:
            pairs = zip(places, tensors, strict=True)
            softmaxes = [self._one(place).run([tensor])[0] for place, tensor in pairs]
        return [likeliest(softmax, top_k) for softmax in softmaxes]

    def _one(self, place: int) -> _Graph:
        """Return the graph of one classifier."""
        if (place,) not in self._graphs:
            model, classifier = self._model, self._model.classifiers[place]
            if model.litert is not None:
                part = with_one_output(model.litert.read_bytes(), place)
                interpreter = Interpreter(model_content=part, num_threads=self._threads)
            else:
                interpreter = Interpreter(str(classifier.graph), num_threads=self._threads)
            self._graphs[place,] = _Graph(interpreter, [classifier], named=bool(model.litert))
        return self._graphs[place,]


class _Graph:
    """An interpreter, whose graph is resized when the size of a batch changes.

    Going back to a size that was run before costs a tenth of a millisecond.
    """

    def __init__(
        self, interpreter: Any, classifiers: Sequence[Classifier], named: bool = True
    ) -> None:
        """`named` says that the inputs have the classifiers' names; else there is only one."""
        self._interpreter = interpreter
        entries = interpreter.get_input_details()
        inputs = {entry["name"]: entry for entry in entries}
        outputs = interpreter.get_output_details()
        names = [item.name if named else next(iter(inputs)) for item in classifiers]
        widths = [len(item.labels) for item in classifiers]
        where = ", ".join(item.name for item in classifiers)
        if set(inputs) != set(names):
            raise ValueError(f"{where}: the graph's inputs are {', '.join(inputs)}")
        found = [int(entry["shape"][-1]) for entry in outputs]
        if found != widths:
            raise ValueError(f"{where}: the graph puts out {found}, the labels are {widths}")
        dtypes = {entry["dtype"] for entry in entries}
        if not dtypes <= {np.uint8, np.float32} or outputs[0]["dtype"] != np.float32:
            raise ValueError(f"{names[0]}: takes or puts out neither pixels nor float32")
        self._ranges = [
            None if inputs[name]["dtype"] == np.uint8 else (item.low, item.high)
            for name, item in zip(names, classifiers, strict=True)
        ]
        self._inputs = [inputs[name]["index"] for name in names]
        self._outputs = [entry["index"] for entry in outputs]
        self._size = 0

    def run(self, tensors: Sequence[Tensor]) -> list[Floats]:
        """Return the softmax of each classifier, float32 [n, labels], in one invoke."""
        if len(tensors[0]) != self._size:
            self._size = 0  # should there be no memory for it: it is tried anew then
            for index, tensor in zip(self._inputs, tensors, strict=True):
                self._interpreter.resize_tensor_input(index, tensor.shape)
            self._interpreter.allocate_tensors()
            self._size = len(tensors[0])
        for index, tensor, bounds in zip(self._inputs, tensors, self._ranges, strict=True):
            self._interpreter.set_tensor(index, _scaled(tensor, bounds))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def _scaled(tensor: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    if bounds is None:
        return tensor
    low, high = bounds
    return tensor.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
