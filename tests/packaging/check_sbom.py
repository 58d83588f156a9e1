"""A bill of materials: valid by its schema, complete, and about this binary.

    check_sbom.py DIR      usr/share/doc/envd, beside usr/bin/envd
"""
import copy
import hashlib
import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.error import SPDXParsingError
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

PARTS = {"libevent-dev", "libmd-dev", "libprotobuf-c-dev", "libseccomp-dev", "zlib1g-dev"}


def spdx_faults(document):
    try:
        parsed = JsonLikeDictParser().parse(copy.deepcopy(document))
    except SPDXParsingError as e:
        return e.get_messages()
    return [m.validation_message for m in validate_full_spdx_document(parsed)]


def cyclonedx_faults(document):
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    return [str(fault)] if fault else []


def check_parts(found):
    """{name: (version, licence)} of what is linked in."""
    assert PARTS <= found.keys(), found.keys()
    assert any(name.startswith("libc6-dev") for name in found), found.keys()
    assert any("llhttp" in name for name in found), found.keys()
    for name, (version, text) in found.items():
        assert version and text not in ("", "NOASSERTION"), (name, version, text)


def main():
    doc = Path(sys.argv[1])
    digest = hashlib.sha256((doc / "../../../bin/envd").read_bytes()).hexdigest()

    spdx = json.loads((doc / "sbom.spdx.json").read_text())
    assert spdx_faults(spdx) == [], spdx_faults(spdx)
    assert spdx["packages"][0]["checksums"][0]["checksumValue"] == digest
    check_parts({p["name"]: (p["versionInfo"], p["licenseDeclared"])
                 for p in spdx["packages"][1:]})
    spdx["packages"][1]["licenseDeclared"] = "no such licence"
    assert spdx_faults(spdx), "a wrong licence is not found"

    cdx = json.loads((doc / "sbom.cdx.json").read_text())
    assert cyclonedx_faults(cdx) == [], cyclonedx_faults(cdx)
    assert cdx["metadata"]["component"]["hashes"][0]["content"] == digest
    check_parts({c["name"]: (c["version"], str(c.get("licenses", "")))
                 for c in cdx["components"]})
    cdx["components"][0]["type"] = "thing"
    assert cyclonedx_faults(cdx), "a wrong type is not found"


main()
