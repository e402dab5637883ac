"""One file per model family; `sensorium.model_adapters.registry` has the table of them."""
