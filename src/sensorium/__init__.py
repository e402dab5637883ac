"""Sensorium: a multimodal inference server.

The packages below this one are the repository's top-level folders (`serving`, `model_adapters`,
`kernels`, `benchmarks`), linked here so that nothing is imported under a name as general as
`kernels`, which is also a library of Hugging Face that transformers detects by name.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
