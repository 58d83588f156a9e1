"""Output that says where in its source each byte stands, and the check of it.

A source is a row of records of eight bytes, a letter and the record's number:
any fifteen bytes of it tell their position.
"""

import functools

LETTERS = {"stdout": b"x", "stderr": b"y", "pty": b"z"}
RECORD = 8


@functools.lru_cache(maxsize=None)
def pattern(source, size):
    """The first `size` bytes of a source."""
    record = LETTERS[source] + b"%07x"
    return b"".join(record % n for n in range(size // RECORD + 1))[:size]


def locate(source, data):
    """Position of these bytes in their source; None when they are too few."""
    at = data.find(LETTERS[source])
    if at < 0 or at + RECORD > len(data):
        return None
    return int(data[at + 1:at + RECORD], 16) * RECORD - at


class Segment:
    """Bytes that one reader got without a gap, from `offset` of all output on."""

    def __init__(self, offset):
        self.offset = self.end = offset
        self.pieces = []

    def add(self, source, data):
        self.pieces.append((source, data))
        self.end += len(data)

    def _bases(self, sources, sizes):
        """Where in each source the segment begins, as far as it can be told."""
        bases = {}
        for source in sources:
            joined = b"".join(data for kind, data in self.pieces if kind == source)
            base = locate(source, joined)
            if base is None:
                assert len(joined) < 2 * RECORD, (source, joined)
                continue
            whole = pattern(source, sizes[source])
            assert 0 <= base and whole[base:base + len(joined)] == joined, \
                f"{source} is out of order from offset {self.offset} on"
            bases[source] = base
        return bases

    def path(self, sizes):
        """Check the bytes; gives (offset, bytes of the first source) steps."""
        first, *second = sources = list(sizes)
        bases = self._bases(sources, sizes)
        if not bases:
            return []
        if not second:
            assert bases[first] == self.offset, (bases, self.offset)
        elif len(bases) == 2:
            assert sum(bases.values()) == self.offset, (bases, self.offset)
        at, count = self.offset, bases.get(first)
        if count is None:
            count = at - bases[second[0]]
        steps = [(at, count)]
        for source, data in self.pieces:
            at += len(data)
            count += len(data) if source == first else 0
            steps.append((at, count))
        return steps


def check(segments, sizes):
    """All readers saw parts of one and the same order of the sources."""
    total, first = sum(sizes.values()), next(iter(sizes))
    steps = {(0, 0), (total, sizes[first])}
    for segment in segments:
        assert segment.end <= total
        steps.update(segment.path(sizes))
    steps = sorted(steps)
    for (at, count), (next_at, next_count) in zip(steps, steps[1:]):
        assert 0 <= next_count - count <= next_at - at, \
            f"two orders of the sources between offsets {at} and {next_at}"
