"""What an engine put out → what travels back."""

from __future__ import annotations

import base64

import numpy as np

from tests.worker.fakes import LABELS, MODEL
from worker.engines import join, likeliest
from worker.results import to_softmax


def test_a_softmax_is_in_the_order_of_the_labels_again() -> None:
    softmax = np.random.default_rng(3).dirichlet(np.ones(len(LABELS)), 6).astype(np.float32)
    answer = join([likeliest(softmax[:4], 99), likeliest(softmax[4:], 99)])
    text = to_softmax(MODEL.classifiers, [answer.part(1, 4, 0)])["themes"]
    values = np.frombuffer(base64.b64decode(text), "<f4").reshape(4, len(LABELS))
    assert (values == softmax[1:5]).all()
