"""Run by `probe` as a script: import the libraries named and print one JSON line about each.

It is a script of its own, and imports nothing of Sensorium, so that it sees the libraries the way
any program would.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import sys

__all__ = ["examine", "main"]


def examine(name: str) -> dict[str, str | None]:
    """Import `name`; return the fields of a `Finding`."""
    if importlib.util.find_spec(name) is None:
        return {"name": name, "state": "absent"}
    try:
        version: str | None = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    fields: dict[str, str | None] = {"name": name, "version": version}
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        return {**fields, "state": "broken", "detail": f"{type(error).__name__}: {first}"}
    fields["state"] = "sound"
    if name == "torch":
        cuda = module.version.cuda or getattr(module.version, "hip", None)
        fields.update(version=module.__version__, cuda=cuda)
    if name == "torchvision":
        extension = importlib.import_module("torchvision.extension")
        fields.update(version=module.__version__)
        if not extension._has_ops():
            fields["state"] = "patched"
    return fields


def main(names: list[str]) -> None:
    """Examine each of `names` in turn, announcing it first in case it ends the process."""
    for name in names:
        print(json.dumps({"trying": name}), flush=True)
        print(json.dumps(examine(name)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
