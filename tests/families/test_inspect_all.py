"""`inspect` finds nothing wrong with any tiny checkpoint, and says where each tensor goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensorium.model_adapters.choices import FAMILY
from sensorium.model_adapters.inspection import inspect_checkpoint
from tests.families.checkpoints import BUILDERS
from tests.families.proof import family_marks

pytestmark = family_marks


# Those that are read only where a user names their family.
NAMED = {
    "moondream2-march": "moondream2-2024-03-13",
    "nous-hermes-2-vision": "nous-hermes-2-vision",
    "video-chatgpt": "video-chatgpt",
    "yuren": "yuren",
}


@pytest.mark.parametrize("name", BUILDERS)
def test_nothing_is_wrong(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAMILY, NAMED.get(name, ""))
    checkpoint = folder / name
    if not checkpoint.exists():
        checkpoint.mkdir()
        BUILDERS[name](checkpoint)
    found = inspect_checkpoint(checkpoint)
    assert bool(found.unconfirmed) == (name in NAMED)
    assert found.problems == ()
    assert found.placed["language_model"] > 20
    assert found.placed["projector"] > 1
    assert all(count > 0 for count in found.image_tokens.values())
