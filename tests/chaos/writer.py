"""A command that writes the pattern: writer.py GATE SEED SOURCE=SIZE...

It begins when somebody opens the fifo GATE for writing.  Its pieces and its
rate change with the seed.
"""

import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pattern import pattern  # noqa: E402

FDS = {"stdout": 1, "stderr": 2, "pty": 1}
PAUSES = 400  # of two milliseconds, at most


def write(fd, data):
    while data:
        data = data[os.write(fd, data):]


def main():
    chance = random.Random(sys.argv[2])
    sizes = {name: int(size) for name, _, size in (w.partition("=") for w in sys.argv[3:])}
    left = {name: memoryview(pattern(name, size)) for name, size in sizes.items()}
    pauses = PAUSES
    with open(sys.argv[1], "rb"):
        pass
    while any(left.values()):
        largest = chance.choice((20, 300, 5_000, 70_000, 400_000))
        for _ in range(chance.randint(1, 60)):
            source = chance.choice(list(left))
            size = chance.randint(1, largest)
            write(FDS[source], left[source][:size])
            left[source] = left[source][size:]
            if pauses and chance.random() < 0.2:
                pauses -= 1
                time.sleep(0.002)


main()
