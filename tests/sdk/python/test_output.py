"""Output of commands: callbacks, size, bytes that are not text."""

import hashlib

import pytest

LARGE = 100 * 1024 * 1024
LINE = b"0123456789abcde\n"


async def test_callbacks_get_everything_in_order(box):
    out, err = [], []
    await box.commands.run("for i in 1 2 3; do echo o$i; echo e$i >&2; done",
                           on_stdout=out.append, on_stderr=err.append)
    assert "".join(out) == "o1\no2\no3\n"
    assert "".join(err) == "e1\ne2\ne3\n"


async def test_output_comes_before_the_end(box, text, scratch):
    handle = await box.start(
        f"echo early; while [ ! -e {scratch}/go ]; do sleep 0.02; done; echo late",
        on_stdout=text)
    await text.has("early\n")
    assert "late" not in text.value
    await box.files.write(f"{scratch}/go", "")
    assert (await handle.wait()).stdout == "early\nlate\n"


async def test_large_output(box):
    digest, size = hashlib.sha256(), 0

    def take(chunk):
        nonlocal size
        digest.update(chunk.encode())
        size += len(chunk)

    result = await box.commands.run(f"yes {LINE.decode().strip()} | head -c {LARGE}",
                                    on_stdout=take, timeout=300, retain_output=False)
    assert result.exit_code == 0
    assert size == LARGE
    assert digest.hexdigest() == hashlib.sha256(LINE * (LARGE // len(LINE))).hexdigest()


async def test_large_stderr_beside_stdout(box):
    result = await box.commands.run(
        "head -c 3000000 /dev/zero | tr '\\0' e >&2 & head -c 3000000 /dev/zero | tr '\\0' o; wait")
    assert result.stdout == "o" * 3_000_000
    assert result.stderr == "e" * 3_000_000


async def test_many_small_writes(box):
    result = await box.commands.run("for i in $(seq 2000); do echo $i; done")
    assert result.stdout == "".join(f"{i}\n" for i in range(1, 2001))


async def test_one_very_long_line(box):
    result = await box.commands.run("head -c 1000000 /dev/zero | tr '\\0' x")
    assert result.stdout == "x" * 1_000_000


@pytest.mark.parametrize("octal, expected", [
    (r"\377\376", "\ufffd\ufffd"),
    (r"a\000b", "a\0b"),
    (r"\033[31mred\033[0m", "\x1b[31mred\x1b[0m"),
    (r"\342\200\250\177", "\u2028\x7f"),
    (r"<>&\"\\/", "<>&\"\\/"),
    (r"\001\002\010\014\037", "\x01\x02\x08\x0c\x1f"),
])
async def test_unusual_bytes(box, octal, expected):
    result = await box.commands.run(f"printf '{octal}'")
    assert result.stdout == expected


async def test_character_split_between_writes(box):
    result = await box.commands.run(r"printf '\342'; sleep 0.2; printf '\202\254'")
    assert result.stdout == "€"


async def test_output_without_newline(box):
    assert (await box.commands.run("printf abc")).stdout == "abc"


async def test_unicode_on_both_streams(box):
    result = await box.commands.run("echo żółć 漢字; echo ошибка >&2")
    assert (result.stdout, result.stderr) == ("żółć 漢字\n", "ошибка\n")
