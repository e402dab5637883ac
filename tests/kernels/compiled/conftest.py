"""Kernels compiled for GPUs; collected only in a process that was started for it.

Triton decides at import whether kernels are interpreted or compiled, so the two need processes of
their own.
"""

import os

collect_ignore_glob = [] if os.environ.get("SENSORIUM_TEST_COMPILE") == "1" else ["test_*.py"]
