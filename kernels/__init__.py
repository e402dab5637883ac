"""Vision-token projection kernels (reference implementations, Triton kernels, dispatch).

One folder a kernel: `naive.py` is its definition in plain torch, `triton.py` the GPU kernel,
`op.py` the registered operator, `cases.py` the inputs that tests and benchmarks share. Importing
this package imports neither torch nor Triton.
"""
