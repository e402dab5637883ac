"""`python -m sensorium.model_adapters.ct2 SOURCE TARGET` converts a CTranslate2 Whisper."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sensorium.model_adapters.ct2.convert import convert_folder
from sensorium.model_adapters.ct2.reader import CT2Error


def main() -> int:
    """Convert one folder; exit code 1 with one line when it cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m sensorium.model_adapters.ct2",
        description="Rewrite a CTranslate2 Whisper as a Hugging Face checkpoint.",
    )
    parser.add_argument(
        "source", type=Path, help="folder with model.bin, config.json, tokenizer.json"
    )
    parser.add_argument("target", type=Path, help="folder to write; must be empty or new")
    args = parser.parse_args()
    if args.target.exists() and any(args.target.iterdir()):
        parser.error(f"{args.target} is not empty")
    try:
        convert_folder(args.source, args.target)
    except CT2Error as error:
        print(f"{args.source}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
