"""Lets the clock of any Python that has this folder on its PYTHONPATH be an hour ahead.

Python imports a module of this name when it starts. What a process reads by `time.monotonic` has
no relation to any other host anyway, and stays.
"""

from __future__ import annotations

import time

_AHEAD_S = 3600

_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _AHEAD_S
time.time_ns = lambda: _time_ns() + _AHEAD_S * 10**9
