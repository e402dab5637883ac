"""Vision-token projection kernels (reference implementations, Triton kernels, dispatch)."""
