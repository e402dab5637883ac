"""The subcommands of `sensorium bench`, one module each."""
