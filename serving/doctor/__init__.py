"""What this installation can do, what is broken, and the one command that mends it.

`examine()` looks at the machine and tries the libraries in a child process, `findings` turns what
was seen into checks, `render` prints them. Nothing here imports torch or vLLM.
"""

from sensorium.serving.doctor.check import Check, Report, Status
from sensorium.serving.doctor.findings import examine, judge
from sensorium.serving.doctor.render import render

__all__ = ["Check", "Report", "Status", "examine", "judge", "render"]
