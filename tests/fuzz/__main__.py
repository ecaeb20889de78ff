"""Prepare many broken images and print what was seen; fails where a promise is not kept.

python -m tests.fuzz --images 100000
"""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.run import fuzz


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    seen = fuzz(arguments.images, arguments.seed)
    for ending, count in seen.endings.most_common():
        print(f"{count:8d}  {ending}")
    print(f"the longest took {seen.longest_s:.2f} s of CPU, image {seen.longest}")
    print(f"memory grew by {seen.growth_mib:.0f} MiB, to {max(seen.resident) >> 20} MiB")
    print(f"while one was read: up to {seen.peak >> 20} MiB, image {seen.highest}")
    print(*seen.misses, sep="\n")
    return 1 if seen.misses else 0


if __name__ == "__main__":
    sys.exit(main())
