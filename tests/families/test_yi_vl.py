"""Yi-VL equals its authors' code; conversation: `mm_default`."""

from __future__ import annotations

from tests.families.proof import FamilyProof, family_marks

pytestmark = family_marks
PROMPT = (
    "This is a chat between an inquisitive human and an AI assistant. Assume the role of the AI "
    "assistant. Read all the images carefully, and respond to the human's questions with "
    "informative, helpful, detailed and polite answers. "
    "这是一个好奇的人类和一个人工智能助手之间的对话。"
    "假设你扮演这个AI助手的角色。仔细阅读所有的图像，并对人类的问题做出信息丰富、有帮助、"
    "详细的和礼貌的回答。\n\n### Human: {}\n### Assistant:"
)


class TestYiVl(FamilyProof):
    """Norms in the projector, the tower in a sub-folder, no BOS."""

    checkpoint = "yi-vl"
    tower = "vit/clip-tiny-448"
    prompt = PROMPT
