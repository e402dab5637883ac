"""Text embeddings looked up and media rows merged, straight into a given buffer."""

from sensorium.kernels.embed_merge.op import embed_merge
from sensorium.kernels.embed_merge.plan import plan_merge

__all__ = ["embed_merge", "plan_merge"]
