"""When requests are sent: closed and open loops, ramps, sweeps."""
