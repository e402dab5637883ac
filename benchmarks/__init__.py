"""Load benchmark, side-by-side comparison with stock vLLM, kernel and media benchmarks."""
