"""Bandwidth of the memory by one thread, and by several at a time: ``python summing.py THREADS`` prints both in GB/s.

A program of its own, with nothing of this package: its threads and arrays would leave their marks on the memory of a
process whose speed is being measured.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

#: float32 numbers of each of three arrays: beyond any cache that two cores share
NUMBERS = 2**23
#: seconds that are counted: some tens of passes
SECONDS = 0.05


def main(threads: int) -> None:
    """A sum of two arrays into a third, over and over, by one thread and by all."""
    arrays = [[np.ones(NUMBERS, np.float32) for _ in range(3)] for _ in range(threads)]
    size = 1e-9 * 3 * arrays[0][0].nbytes
    with ThreadPoolExecutor(threads) as pool:

        def rate(count: int) -> float:
            begin = threading.Barrier(count)

            def work(own: list[np.ndarray]) -> float:
                a, b, into = own
                begin.wait()
                began, passes = time.perf_counter(), 0
                while (took := time.perf_counter() - began) < SECONDS:
                    np.add(a, b, out=into)  # other threads go on meanwhile
                    passes += 1
                return size * passes / took

            return sum(pool.map(work, arrays[:count]))

        rate(threads)  # pages are mapped
        print(json.dumps([rate(1), rate(threads)]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
