"""`python -m sensorium.benchmarks.speech`."""

import sys

from sensorium.benchmarks.speech.command import main

if __name__ == "__main__":
    sys.exit(main())
