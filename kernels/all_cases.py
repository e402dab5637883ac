"""Every declared case of every operator."""

from __future__ import annotations

from sensorium.kernels.cases import Case
from sensorium.kernels.embed_merge.cases import CASES as EMBED_MERGE
from sensorium.kernels.gather_norm.cases import CASES as GATHER_NORM
from sensorium.kernels.ldpv2_tail.cases import CASES as LDPV2_TAIL
from sensorium.kernels.pack_project.cases import CASES as PACK_PROJECT

__all__ = ["ALL_CASES"]

ALL_CASES: tuple[Case, ...] = (*GATHER_NORM, *PACK_PROJECT, *EMBED_MERGE, *LDPV2_TAIL)
