"""What is freed goes back to the kernel."""

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


FLOOD = """
import ctypes, pathlib
from earhook.transport.heap import return_free_pages
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def resident_pages():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1])
blocks = [libc.malloc(16_384) for _ in range(4096)]
for block in blocks:
    ctypes.memset(block, 1, 16_384)
for block in blocks[:-1]:  # the last one keeps the top of the heap where it is
    libc.free(block)
kept = resident_pages()
{then}
print(kept - resident_pages())
"""


def pages_given_back(then: str) -> int:
    program = FLOOD.format(then=then)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return int(done.stdout)


def test_what_a_flood_leaves_behind_is_given_back() -> None:
    assert pages_given_back("return_free_pages()") > 12_000
    assert pages_given_back("") < 1_000, "the test would find nothing"
