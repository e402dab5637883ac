"""`python -m sensorium.serving` is the `sensorium` command."""

import sys

from sensorium.serving.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
