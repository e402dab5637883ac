"""One file per model family; `table` tells which configs are whose."""
