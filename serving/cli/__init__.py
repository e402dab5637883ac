"""The `sensorium` command; each subcommand is a module, imported only when it is called."""
