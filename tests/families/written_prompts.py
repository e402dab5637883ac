"""What the authors' conversation classes write: one turn, three turns, a system text."""

from __future__ import annotations

from sensorium.model_adapters import prompts, video_prompts
from sensorium.model_adapters.prompt_style import Turn

__all__ = ["HUMAN", "IDS", "ONE", "QWEN_VISUAL", "THREE", "WRITTEN"]

USER = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
HUMAN = USER.replace("user", "human")
ONE: list[Turn] = [("user", "Q1")]
THREE: list[Turn] = [
    ("user", "Q1"),
    ("assistant", "A1"),
    ("user", "Q2"),
    ("assistant", "A2"),
    ("user", "Q3"),
]
YI = prompts.YI_VL.system
LLAMA = prompts.LLAMA_2.system
PIRATE = "You are a pirate chatbot who always responds in pirate speak!"
SYSTEM_3, USER_3, ASSISTANT_3 = (
    f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("system", "user", "assistant")
)
DEEPSEEK = prompts.DEEPSEEK_VL.system
VALLEY = (
    "You are Valley, a large language and vision assistant trained by ByteDance. You are able to "
    "understand the visual content or video that the user provides, and assist the user with a "
    "variety of tasks using natural language. Follow the instructions carefully and explain your "
    "answers in detail."
)
QWEN_VISUAL = {
    "width": 1664,
    "mlp_ratio": 4.9231,
    "layers": 48,
    "heads": 16,
    "image_size": 448,
    "patch_size": 14,
}
VIDEO_CHATGPT = (
    "You are Video-ChatGPT, a large vision-language assistant. You are able to understand the "
    "video content that the user provides, and assist the user with a variety of tasks using "
    "natural language.Follow the instructions carefully and explain your answers in detail based "
    "on the provided video."
)
YUREN = prompts.YUREN.system
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
FERRET = (
    "A chat between a human and an AI that understands visuals. In images, [x, y] denotes points: "
    "top-left [0, 0], bottom-right [width-1, height-1]. Increasing x moves right; y moves down. "
    "Bounding box: [x1, y1, x2, y2]. Image size: 1000x1000. Follow instructions. "
)
VILA = "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{}<|{}|>"


def llama_3(*texts: str, end: str, answers: str = "assistant") -> str:
    """Turns of VILA's `llama_3`, and the header of the next answer."""
    written = ""
    for number, text in enumerate(texts):
        role = answers if number % 2 else "user"
        written += f"<|start_header_id|>{role}<|end_header_id|>\n\n{text}<|{end}|>"
    return f"{written}<|start_header_id|>{answers}<|end_header_id|>\n\n"


SEEN = "\nASSISTANT:\nAnswer: In the video,"


def _chatml(*texts: str, system: str = "You are a helpful assistant.") -> str:
    turns = [("system", system), *zip(("user", "assistant") * 2 + ("user",), texts, strict=False)]
    written = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    return f"{written}<|im_start|>assistant\n"


def _seen_34b(*texts: str, system: str = "Answer the question.") -> str:
    written = f"<|im_start|>system\n {system} <|im_end|>\n"
    for at, text in enumerate(texts):
        if at % 2:
            written += f"<|im_start|>assistant\nAnswer: In the video,{text}<|im_end|>\n"
        else:
            written += f"<|im_start|>user\n {text} <|im_end|>\n"
    return f"{written}<|im_start|>assistant\nAnswer: In the video,"


def _llama_3(system: str, *texts: str) -> str:
    turns = [("system", system), *zip(("user", "assistant") * 2 + ("user",), texts, strict=False)]
    form = "<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>"
    written = "".join(form.format(role, text) for role, text in turns)
    return f"<|begin_of_text|>{written}<|start_header_id|>assistant<|end_header_id|>\n\n"


# (style, what one turn is, what three turns are, what one turn with the system text S is)
WRITTEN = [
    (
        prompts.VICUNA_V1,
        f"{USER} USER: Q1 ASSISTANT:",
        f"{USER} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.LLAVA_V1,
        f"{HUMAN} USER: Q1 ASSISTANT:",
        f"{HUMAN} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.LLAVA_V0,
        f"{HUMAN}###Human: Q1###Assistant:",
        f"{HUMAN}###Human: Q1###Assistant: A1###Human: Q2###Assistant: A2###Human: Q3###Assistant:",
        "S###Human: Q1###Assistant:",
    ),
    (
        prompts.BUNNY,
        f"{USER} USER: Q1 ASSISTANT:",
        f"{USER} USER: Q1 ASSISTANT: A1<|endoftext|>USER: Q2 ASSISTANT: A2<|endoftext|>"
        "USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.BUNNY_LLAMA,
        f"{USER} USER: Q1 ASSISTANT:",
        f"{USER} USER: Q1 ASSISTANT: A1<|end_of_text|>USER: Q2 ASSISTANT: A2<|end_of_text|>"
        "USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.TINYLLAVA,
        f"{USER} USER: Q1 ASSISTANT:",
        f"{USER} USER: Q1 ASSISTANT: A1<|endoftext|>USER: Q2 ASSISTANT: A2<|endoftext|>"
        "USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.TINYLLAVA_GEMMA,
        f"{USER} USER: Q1 ASSISTANT:",
        f"{USER} USER: Q1 ASSISTANT: A1<eos>USER: Q2 ASSISTANT: A2<eos>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.VILA_LLAMA_3,
        VILA.format(LLAMA, "eot_id") + llama_3("Q1", end="eot_id"),
        VILA.format(LLAMA, "eot_id") + llama_3("Q1", "A1", "Q2", "A2", "Q3", end="eot_id"),
        VILA.format("S", "eot_id") + llama_3("Q1", end="eot_id"),
    ),
    (
        prompts.VILA_LLAMA_3_MAY,
        VILA.format(LLAMA, "end_of_text") + llama_3("Q1", end="end_of_text", answers="system"),
        VILA.format(LLAMA, "end_of_text")
        + llama_3("Q1", "A1", "Q2", "A2", "Q3", end="end_of_text", answers="system"),
        VILA.format("S", "end_of_text") + llama_3("Q1", end="end_of_text", answers="system"),
    ),
    (
        prompts.YI_VL,
        f"{YI}\n\n### Human: Q1\n### Assistant:",
        f"{YI}\n\n### Human: Q1\n### Assistant: A1\n### Human: Q2\n### Assistant: A2\n"
        "### Human: Q3\n### Assistant:",
        "S\n\n### Human: Q1\n### Assistant:",
    ),
    (
        prompts.LLAMA_2,
        f"[INST] <<SYS>>\n{LLAMA}\n<</SYS>>\n\nQ1 [/INST]",
        f"[INST] <<SYS>>\n{LLAMA}\n<</SYS>>\n\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST] A2 </s>"
        "<s>[INST] Q3 [/INST]",
        "[INST] <<SYS>>\nS\n<</SYS>>\n\nQ1 [/INST]",
    ),
    (
        prompts.MISTRAL_INSTRUCT,
        "[INST] Q1 [/INST]",
        "[INST] Q1 [/INST] A1 </s>[INST] Q2 [/INST] A2 </s>[INST] Q3 [/INST]",
        "[INST] <<SYS>>\nS\n<</SYS>>\n\nQ1 [/INST]",
    ),
    (
        prompts.CHATML_DIRECT,
        "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\nQ1<|im_end|>"
        "<|im_start|>assistant\n",
        "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\nQ1<|im_end|>"
        "<|im_start|>assistant\nA1<|im_end|><|im_start|>user\nQ2<|im_end|>"
        "<|im_start|>assistant\nA2<|im_end|><|im_start|>user\nQ3<|im_end|><|im_start|>assistant\n",
        "<|im_start|>system\nS<|im_end|><|im_start|>user\nQ1<|im_end|><|im_start|>assistant\n",
    ),
    (
        prompts.MPLUG_OWL2,
        "USER: Q1 ASSISTANT:",
        "USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.MOONDREAM1,
        "Question: Q1\n\nAnswer: ",
        "Question: Q1\n\nAnswer: A1\n\nQuestion: Q2\n\nAnswer: A2\n\nQuestion: Q3\n\nAnswer: ",
        "SQuestion: Q1\n\nAnswer: ",
    ),
    (
        prompts.MOONDREAM2,
        "Question: Q1\n\nAnswer:",
        "Question: Q1\n\nAnswer: A1\n\nQuestion: Q2\n\nAnswer: A2\n\nQuestion: Q3\n\nAnswer:",
        "SQuestion: Q1\n\nAnswer:",
    ),
    (
        prompts.MOONDREAM2_MARCH,
        "Question: Q1\n\nAnswer:",
        "Question: Q1\n\nAnswer: A1\n\nQuestion: Q2\n\nAnswer: A2\n\nQuestion: Q3\n\nAnswer:",
        "SQuestion: Q1\n\nAnswer:",
    ),
    (
        prompts.DEEPSEEK_VL,
        f"{DEEPSEEK}\n\nUser: Q1\n\nAssistant:",
        f"{DEEPSEEK}\n\nUser: Q1\n\nAssistant: A1<｜end▁of▁sentence｜>User: Q2\n\n"
        "Assistant: A2<｜end▁of▁sentence｜>User: Q3\n\nAssistant:",
        "S\n\nUser: Q1\n\nAssistant:",
    ),
    (
        prompts.QWEN_1_5,
        _chatml("Q1"),
        _chatml("Q1", "A1", "Q2", "A2", "Q3"),
        _chatml("Q1", system="S"),
    ),
    (
        prompts.LLAMA_3,
        _llama_3(LLAMA, "Q1"),
        _llama_3(LLAMA, "Q1", "A1", "Q2", "A2", "Q3"),
        _llama_3("S", "Q1"),
    ),
    (
        video_prompts.IMAGE_SEQ_V3,
        f"USER: Q1 {SEEN}",
        f"USER: Q1 {SEEN}A1</s>USER: Q2 {SEEN}A2</s>USER: Q3 {SEEN}",
        f"SUSER: Q1 {SEEN}",
    ),
    (
        video_prompts.IMAGE_SEQ_34B_V3,
        _seen_34b("Q1"),
        _seen_34b("Q1", "A1", "Q2", "A2", "Q3"),
        _seen_34b("Q1", system="S"),
    ),
    (
        prompts.CHINESE_LLAMA_2,
        f"[INST] <<SYS>>\n{LLAMA}\n<</SYS>>\n\nQ1 [/INST] ",
        f"[INST] <<SYS>>\n{LLAMA}\n<</SYS>>\n\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST] A2 </s>"
        "<s>[INST] Q3 [/INST] ",
        "[INST] <<SYS>>\nS\n<</SYS>>\n\nQ1 [/INST] ",
    ),
    (
        prompts.CHINESE_BAICHUAN,
        f"{LLAMA}USER:Q1ASSISTANT:",
        f"{LLAMA}USER:Q1ASSISTANT:A1</s>USER:Q2ASSISTANT:A2</s>USER:Q3ASSISTANT:",
        "SUSER:Q1ASSISTANT:",
    ),
    (
        prompts.GLAMM,
        f"{HUMAN} USER: Q1 ASSISTANT:",
        f"{HUMAN} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.VIDEO_LLAVA,
        f"{HUMAN} USER: Q1 ASSISTANT:",
        f"{HUMAN} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.YUREN,
        f"{IM_START}system\n{YUREN}{IM_END}{IM_START}user\nQ1{IM_END}{IM_START}assistant\n",
        f"{IM_START}system\n{YUREN}{IM_END}{IM_START}user\nQ1{IM_END}"
        f"{IM_START}assistant\nA1{IM_END}{IM_START}user\nQ2{IM_END}"
        f"{IM_START}assistant\nA2{IM_END}{IM_START}user\nQ3{IM_END}{IM_START}assistant\n",
        f"{IM_START}system\nS{IM_END}{IM_START}user\nQ1{IM_END}{IM_START}assistant\n",
    ),
    (
        prompts.FERRET,
        f"{FERRET} USER: Q1 ASSISTANT:",
        f"{FERRET} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.U_LLAVA,
        f"{HUMAN} USER: Q1 ASSISTANT:",
        f"{HUMAN} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        prompts.MANTIS,
        f"{SYSTEM_3}{PIRATE}<|eot_id|>{USER_3}Q1<|eot_id|>{ASSISTANT_3}",
        f"{SYSTEM_3}{PIRATE}<|eot_id|>{USER_3}Q1<|eot_id|>{ASSISTANT_3}A1<|eot_id|>"
        f"{USER_3}Q2<|eot_id|>{ASSISTANT_3}A2<|eot_id|>{USER_3}Q3<|eot_id|>{ASSISTANT_3}",
        f"{SYSTEM_3}S<|eot_id|>{USER_3}Q1<|eot_id|>{ASSISTANT_3}",
    ),
    (
        video_prompts.VIDEO_CHATGPT,
        f"{VIDEO_CHATGPT} USER: Q1 ASSISTANT:",
        f"{VIDEO_CHATGPT} USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>USER: Q3 ASSISTANT:",
        "S USER: Q1 ASSISTANT:",
    ),
    (
        video_prompts.VALLEY,
        f"{VALLEY}\n\n### Human: Q1 \n###",
        f"{VALLEY}\n\n### Human: Q1 \n### Assistent: A1 \n### Human: Q2 \n### Assistent: A2 \n###"
        " Human: Q3 \n###",
        "S\n\n### Human: Q1 \n###",
    ),
]
IDS = [entry[0].name for entry in WRITTEN]
