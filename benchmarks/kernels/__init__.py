"""Projection kernels measured on the machine at hand: `python -m sensorium.benchmarks.kernels`."""
