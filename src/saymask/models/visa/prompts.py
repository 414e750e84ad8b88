"""The words of VISA's chats: reference video, target image, instruction, answer, in Vicuna's format; exact strings of the released code.

    <system> USER: Reference Video: (0)<image>, (1)<image> \\nTarget Image: <image> \\n<instruction> ASSISTANT: <answer></s>

Context frames (the reference video) come first, in the order of time, the target last. A question in words has frames and no target.
"""

from __future__ import annotations

from collections.abc import Sequence

from saymask.errors import ConfigError
from saymask.models.parts.chat import IMAGE_PLACEHOLDER, SEG_TOKEN

SYSTEM_PROMPT = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
END_OF_TURN = "</s>"

SHORT_INSTRUCTIONS = (
    "What is {} in the Reference Video? Please respond with segmentation mask in the Target Image.",
    "What is {} in the Reference Video? Please output segmentation mask in the Target Image.",
    "Please find {} in the Reference Video and segment it in the Target Image.",
)
LONG_INSTRUCTIONS = (
    "{} Please find it in the Reference Video and respond with segmentation mask in the Target Image.",
    "{} Please find it in the Reference Video and output segmentation mask in the Target Image.",
)
# The missing space in the first one is the released code's.
EXPLANATORY_INSTRUCTIONS = (
    "{}Please output segmentation mask in the Target Image and explain why.",
    "{} Please output segmentation mask in the Target Image and explain the reason.",
    "{} Please output segmentation mask in the Target Image and give some explanation.",
)
ANSWERS = (
    f"It is {SEG_TOKEN}.",
    f"Sure, {SEG_TOKEN}.",
    f"Sure, it is {SEG_TOKEN}.",
    f"Sure, the segmentation result is {SEG_TOKEN}.",
)
FORCED_ANSWER = ANSWERS[0]
ABSENT_ANSWER = "There is no such object."
"""Ours: the released code affirms an empty mask."""

TEMPLATES = ("auto", "raw")


def check_query(query: str) -> None:
    """Refuse a query that would add an image to the chat.

    Raises:
        ConfigError: it contains the placeholder.
    """
    if IMAGE_PLACEHOLDER in query:
        raise ConfigError(f"query {query!r} contains {IMAGE_PLACEHOLDER}, which stands for a frame of the video; leave it out")


def instruct(query: str, template: str = "auto") -> str:
    """What is asked about the target.

    Args:
        query: what to find, a noun phrase or a question.
        template: "auto" words it as the released code does at test time, in lower case; "raw" passes it unchanged.
    """
    if template == "raw":
        return query.strip()
    text = " ".join(query.lower().split())
    pool = LONG_INSTRUCTIONS if text.endswith("?") else SHORT_INSTRUCTIONS
    return pool[0].format(text)


def numbered_frames(num_frames: int) -> str:
    """Placeholders of a video's frames: `(0)<image>, (1)<image>`."""
    return ", ".join(f"({number}){IMAGE_PLACEHOLDER}" for number in range(num_frames))


def about_target(instruction: str, num_context: int) -> str:
    """A question about the target image beside its reference video."""
    return f"Reference Video: {numbered_frames(num_context)} \nTarget Image: {IMAGE_PLACEHOLDER} \n{instruction}"


def about_video(question: str, num_frames: int) -> str:
    """A question about frames, to be answered in words."""
    return f"{numbered_frames(num_frames)}\n{question}"


def chat(turns: Sequence[tuple[str, str]], system: str = SYSTEM_PROMPT, end: str = END_OF_TURN) -> str:
    """Questions with their answers as one text; an empty `system` is left out (the toy model has none)."""
    said = "".join(f"USER: {question} ASSISTANT: {answer}{end}" for question, answer in turns)
    return f"{system} {said}" if system else said


def asked(question: str, system: str = SYSTEM_PROMPT) -> str:
    """The text up to where the answer begins."""
    return chat([(question, "")], system, end="").removesuffix(" ")
