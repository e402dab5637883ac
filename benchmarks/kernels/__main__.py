"""`python -m sensorium.benchmarks.kernels`."""

from sensorium.benchmarks.kernels.command import main

if __name__ == "__main__":
    main()
