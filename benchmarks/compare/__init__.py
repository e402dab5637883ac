"""Two servers beside each other on this machine, under the same load."""
