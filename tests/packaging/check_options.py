"""packaging/options against the program: which options there are, of which
kind, with which default.  What is missing is printed as it is to be written.

    check_options.py BINARY < what `options-as` calls names
"""
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def options_of(binary):
    """{name: (operand, help)} as -help prints them."""
    r = subprocess.run([binary, "-help"], capture_output=True, text=True, check=True)
    text = r.stdout + r.stderr
    found = re.findall(r"^  -(\S+) ?(\S*)\n\s+(.*)$", text, re.M)
    return {name: (operand, line) for name, operand, line in found}


def config_of(binary):
    """{name: value} as -dump-config prints them, before the limits."""
    text = subprocess.run([binary, "-dump-config"], capture_output=True, text=True,
                          check=True).stdout
    lines = text.split("\n\n")[0].split("\n")
    return dict(line.split(" = ", 1) for line in lines)


def fits(kind, operand, line):
    if operand == "":
        return kind == "flag"
    if operand == "int":
        return kind == "number"
    if "|" in kind:
        return all(re.search(rf"\b{word}\b", line) for word in kind.split("|"))
    return kind in ("string", "dir", "file")


def template(name, operand, line, default):
    kind = {"": "flag", "int": "number N"}.get(operand, "string NAME")
    origin = f"= {default}" if default is not None else "=, or: once, or: print"
    return f"packaging/options: missing:\n\n{name} {kind}\n{origin}\n{line}\n{line}.\n"


def main():
    binary = sys.argv[1]
    there = options_of(binary)
    config = config_of(binary)
    listed = {}
    faults = []
    for record in sys.stdin.read().split("\n"):
        if record:
            name, kind, value = (record.split(" ", 2) + [""])[:3]
            listed[name] = (kind, value)
    if not there or not config or not listed:
        faults.append("nothing was read")

    readme = README.read_text()
    for name, (operand, line) in there.items():
        if name not in listed:
            faults.append(template(name, operand, line, config.get(name)))
        elif not fits(listed[name][0], operand, line):
            faults.append(f"{name} is not of the kind {listed[name][0]}: {operand}, {line}")
        if not re.search(rf"`-{name}\b", readme):
            faults.append(f"README.md: no word on -{name}")
    for name, (kind, value) in listed.items():
        if name not in there:
            faults.append(f"packaging/options: the program has no -{name}")
        elif value.startswith("=") and config.get(name, "") != value[2:]:
            faults.append(f"{name}: the default is {config.get(name)!r}, not {value[2:]!r}")
        elif not value.startswith("=") and name in config:
            faults.append(f"{name} = {config[name]} is missing: it may stand in a file")
    for name in config.keys() - there.keys():
        faults.append(f"-help does not have {name}")
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


main()
