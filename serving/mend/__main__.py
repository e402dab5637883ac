"""`python -m sensorium.serving.mend`: mend this installation, exit code 1 if that failed."""

import sys

from sensorium.serving.mend.repair import mend

if __name__ == "__main__":
    sys.exit(0 if mend() else 1)
