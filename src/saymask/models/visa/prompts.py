"""The words of VISA's chats: context frames (the reference video) in the order of time, the target image, an instruction, an answer.

    <system> USER: Reference Video: (0)<image>, (1)<image> \\nTarget Image: <image> \\n<instruction> ASSISTANT: <answer></s>

`RELEASED` holds the exact strings of the authors' code, in Vicuna's format; `BRIEF` is for the bundled toy, whose tokenizer has few words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saymask.errors import ConfigError
from saymask.models.parts.chat import IMAGE_PLACEHOLDER, SEG_TOKEN

SYSTEM_PROMPT = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
ABSENT_ANSWER = "There is no such object."
"""Ours: the released code affirms an empty mask."""
TEMPLATES = ("auto", "raw")


@dataclass(frozen=True)
class Wording:
    """How one model is spoken to.

    Args:
        turn: a question with its answer and the token that ends it.
        frame, between_frames: how frames are listed.
        target: question about the target image, with the listed context frames and an instruction.
        video: question about frames that is answered in words.
        short, long, explanatory: instructions for noun phrases, for sentences, and those that want an explanation; at test time the first.
        answers: each announces one mask; the first one is forced.
        sampler: the frame sampler's question.
    """

    turn: str
    frame: str
    between_frames: str
    target: str
    video: str
    short: tuple[str, ...]
    long: tuple[str, ...]
    explanatory: tuple[str, ...]
    answers: tuple[str, ...]
    sampler: str

    @property
    def forced_answer(self) -> str:
        """The answer that is given where the model does not write its own."""
        return self.answers[0]

    def instruct(self, query: str, template: str = "auto") -> str:
        """What is asked about the target.

        Args:
            query: what to find, a noun phrase or a question.
            template: "auto" words it as the released code does at test time, in lower case; "raw" passes it unchanged.
        """
        if template == "raw":
            return query.strip()
        text = " ".join(query.lower().split())
        return (self.long if text.endswith("?") else self.short)[0].format(text)

    def about_target(self, instruction: str, num_context: int) -> str:
        """A question about the target image beside its context."""
        return self.target.format(frames=self._frames(num_context), image=IMAGE_PLACEHOLDER, instruction=instruction)

    def about_video(self, question: str, num_frames: int) -> str:
        """A question about frames, to be answered in words."""
        return self.video.format(frames=self._frames(num_frames), question=question)

    def sampler_question(self, query: str) -> str:
        """Which percentage mark of the video shows the query best."""
        return self.sampler.format(query.removesuffix("?"))

    def chat(self, turns: Sequence[tuple[str, str]], system: str, end: str) -> str:
        """Questions with their answers as one text; an empty `system` is left out."""
        return self._opening(system) + "".join(self.turn.format(question=question, answer=answer, end=end) for question, answer in turns)

    def asked(self, turns: Sequence[tuple[str, str]], question: str, system: str, end: str) -> str:
        """Turns and a further question, up to where its answer begins; the blank before an answer belongs to its first word."""
        before, _ = self.turn.split("{answer}")
        return self.chat(turns, system, end) + before.format(question=question).removesuffix(" ")

    def _frames(self, num_frames: int) -> str:
        return self.between_frames.join(self.frame.format(number=number, image=IMAGE_PLACEHOLDER) for number in range(num_frames))

    @staticmethod
    def _opening(system: str) -> str:
        return f"{system} " if system else ""


RELEASED = Wording(
    turn="USER: {question} ASSISTANT: {answer}{end}",
    frame="({number}){image}",
    between_frames=", ",
    target="Reference Video: {frames} \nTarget Image: {image} \n{instruction}",
    video="{frames}\n{question}",
    short=(
        "What is {} in the Reference Video? Please respond with segmentation mask in the Target Image.",
        "What is {} in the Reference Video? Please output segmentation mask in the Target Image.",
        "Please find {} in the Reference Video and segment it in the Target Image.",
    ),
    long=(
        "{} Please find it in the Reference Video and respond with segmentation mask in the Target Image.",
        "{} Please find it in the Reference Video and output segmentation mask in the Target Image.",
    ),
    # The missing space in the first one is the released code's.
    explanatory=(
        "{}Please output segmentation mask in the Target Image and explain why.",
        "{} Please output segmentation mask in the Target Image and explain the reason.",
        "{} Please output segmentation mask in the Target Image and give some explanation.",
    ),
    answers=(
        f"It is {SEG_TOKEN}.",
        f"Sure, {SEG_TOKEN}.",
        f"Sure, it is {SEG_TOKEN}.",
        f"Sure, the segmentation result is {SEG_TOKEN}.",
    ),
    # Line break and blanks included.
    sampler=(
        "If I want to find '{}', which percentage mark of the video should I check?\n"
        "             Please choose one answer from 0%, 10%, 20%, 30%, 40%, 50%, 60%, 70%, 80%, 90%, and 100%."
    ),
)
BRIEF = Wording(
    turn="<|user|>\n{question}<|end|>\n<|assistant|>\n{answer}{end}",
    frame="{image}",
    between_frames="",
    target="{frames}{image}\n{instruction}",
    video="{frames}\n{question}",
    short=("Please segment {} in this scene.",),
    long=("{} Please output the segmentation masks.",),
    explanatory=("{} Please output the segmentation masks.",),
    answers=(f"Sure, {SEG_TOKEN}.",),
    sampler="When can you see {}? Answer in %.",
)
WORDINGS: dict[str, Wording] = {"released": RELEASED, "brief": BRIEF}


def check_query(query: str) -> None:
    """Refuse a query that would add an image to the chat.

    Raises:
        ConfigError: it contains the placeholder.
    """
    if IMAGE_PLACEHOLDER in query:
        raise ConfigError(f"query {query!r} contains {IMAGE_PLACEHOLDER}, which stands for a frame of the video; leave it out")
