"""Language models that vLLM does not have, on its layers and under their authors' names."""
