"""Large blocks go back to the kernel."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes, re
from earhook.transport.heap import return_large_blocks
{first}
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.free(libc.malloc(262_144))  # teaches glibc to take the next ones from its heap
blocks = [libc.malloc(262_144) for _ in range(16)]
heap = re.search(r"(\\w+)-(\\w+) .*\\[heap\\]", open("/proc/self/maps").read())
print(sum(int(heap[1], 16) <= block < int(heap[2], 16) for block in blocks))
"""


def blocks_in_heap(first: str) -> int:
    program = PROGRAM.format(first=first)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return int(done.stdout)


def test_large_blocks_do_not_come_from_the_heap() -> None:
    assert blocks_in_heap("assert return_large_blocks()") == 0
    assert blocks_in_heap("") > 0, "the test would find nothing"
