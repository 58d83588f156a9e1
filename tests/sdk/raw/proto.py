"""Just enough protobuf to write and read binary messages by hand."""


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    payload = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def _read(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """Field number to the list of its values (int or bytes)."""
    found, at = {}, 0
    while at < len(data):
        tag, at = _read(data, at)
        if tag & 7 == 0:
            value, at = _read(data, at)
        elif tag & 7 == 2:
            size, at = _read(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size
        else:
            raise AssertionError(f"unexpected wire type {tag & 7}")
        found.setdefault(tag >> 3, []).append(value)
    return found


def at(data, *path):
    """The last value at a path of field numbers."""
    for field in path:
        data = fields(data)[field][-1]
    return data
