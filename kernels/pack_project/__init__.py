"""Feature rows put into the order of their tokens before they are projected."""

from sensorium.kernels.pack_project.op import Gather, pack_project, pack_rows
from sensorium.kernels.pack_project.plan import PackPlan, Tiled, plan_packing, tiled_rows

__all__ = ["Gather", "PackPlan", "Tiled", "pack_project", "pack_rows", "plan_packing", "tiled_rows"]
