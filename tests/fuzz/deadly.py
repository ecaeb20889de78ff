"""Does as `tests.fuzz.child`, but dies of the third image and calls the fifth a bug."""

from __future__ import annotations

import json
import os
import sys

_, first, end = map(int, sys.argv[1:])
for number in range(first, end):
    print(number, flush=True)
    if number == 3:
        os.abort()
    ending = "untyped: ValueError()" if number == 5 else "prepared"
    print(json.dumps([number, ending, 1.5 if number == 6 else 0.1, 2**20, 2**20]), flush=True)
