"""commands.run: arguments, environment, results."""

import pytest
from e2b import (AuthenticationException, CommandExitException,
                 InvalidArgumentException, TimeoutException)

import disk
from conftest import until_gone

AWKWARD = [
    "plain",
    "it's \"quoted\" `twice`",
    "$HOME $(id) \\n %s !#&|;<>*?",
    "ünïcödé ✓ 日本語 🎉",
    "first\nsecond\n\nfourth",
    "\ttab and trailing blank ",
]


async def test_result_of_success(box):
    result = await box.commands.run("echo out; echo err >&2")
    assert (result.exit_code, result.error) == (0, None)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("word", AWKWARD)
async def test_text_arrives_unchanged(box, word):
    result = await box.commands.run("printf %s \"$WORD\"", envs={"WORD": word})
    assert result.stdout == word


@pytest.mark.parametrize("word", AWKWARD)
async def test_script_arrives_unchanged(box, word):
    result = await box.commands.run(f"cat <<'END-OF-WORD'\n{word}\nEND-OF-WORD")
    assert result.stdout == word + "\n"


async def test_multi_line_script(box):
    result = await box.commands.run("for i in 1 2 3\ndo\n  echo $i\ndone")
    assert result.stdout == "1\n2\n3\n"


@pytest.mark.parametrize("code", [1, 2, 3, 126, 127, 255])
async def test_failing_exit_raises_with_output(box, code):
    with pytest.raises(CommandExitException) as caught:
        await box.commands.run(f"echo out; echo err >&2; exit {code}")
    assert caught.value.exit_code == code
    assert caught.value.error == f"exit status {code}"
    assert (caught.value.stdout, caught.value.stderr) == ("out\n", "err\n")


async def test_unknown_command(box):
    with pytest.raises(CommandExitException) as caught:
        await box.commands.run("no-such-command-anywhere")
    assert caught.value.exit_code == 127
    assert "no-such-command-anywhere" in caught.value.stderr


async def test_death_by_signal(box):
    with pytest.raises(CommandExitException) as caught:
        await box.commands.run("kill -SEGV $$")
    assert caught.value.exit_code == -1
    assert caught.value.error.startswith("signal: segmentation fault")


async def test_envs_are_scoped_to_one_command(box):
    first = await box.commands.run("echo ${SCOPED-unset}", envs={"SCOPED": "set"})
    second = await box.commands.run("echo ${SCOPED-unset}")
    assert (first.stdout, second.stdout) == ("set\n", "unset\n")


async def test_environment_of_root(box):
    result = await box.commands.run("echo $HOME $USER $LOGNAME")
    assert result.stdout == "/root root root\n"


async def test_user(box):
    result = await box.commands.run("id -un; echo $USER; id -Gn", user="nobody", cwd="/")
    assert result.stdout == "nobody\nnobody\nnogroup\n"


async def test_unknown_user(box):
    with pytest.raises(AuthenticationException, match="no-such-user"):
        await box.commands.run("true", user="no-such-user")


async def test_cwd(box, scratch):
    result = await box.commands.run("pwd -P", cwd=scratch)
    assert result.stdout == scratch + "\n"


async def test_default_cwd_is_home(box):
    assert (await box.commands.run("pwd -P")).stdout == "/root\n"


@pytest.mark.parametrize("form", ["{}", "~/{}"])
async def test_cwd_within_home(box, home_folder, form):
    result = await box.commands.run("pwd -P", cwd=form.format(home_folder))
    assert result.stdout == f"/root/{home_folder}\n"


async def test_missing_cwd(box, scratch):
    with pytest.raises(InvalidArgumentException, match="does not exist"):
        await box.commands.run("true", cwd=f"{scratch}/missing")


async def test_timeout(box, scratch):
    with pytest.raises(TimeoutException):
        await box.commands.run(f"echo $$ >{scratch}/pid; exec sleep 300", timeout=1)
    await until_gone(box, int(disk.content(f"{scratch}/pid")))


async def test_no_timeout(box):
    result = await box.commands.run("echo done", timeout=0)
    assert result.stdout == "done\n"


async def test_stdin_is_empty_by_default(box):
    result = await box.commands.run("cat; echo at end")
    assert result.stdout == "at end\n"


async def test_many_in_a_row(box):
    for number in range(50):
        result = await box.commands.run(f"echo {number}")
        assert result.stdout == f"{number}\n"
