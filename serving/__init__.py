"""The server: command line, configuration, HTTP app, engines and metrics."""
