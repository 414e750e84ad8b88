"""The whole of it can learn: a small VideoLISA, the loop and its own task, until four clips are known by heart."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from squares import set_of
from torch.utils.data import Dataset

from saymask.evaluation.candidates import own_answers
from saymask.evaluation.exam import Exam
from saymask.evaluation.run import score_rows
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.prompts import ABSENT_ANSWER, FORCED_ANSWER, chat, phrase
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.recipes.videolisa import TOY_MODEL
from saymask.runtime import Runtime
from saymask.toyworld.dataset import COLOURS, KINDS, load_toyworld
from saymask.training.config import OptimConfig, TrainConfig
from saymask.training.loop import train
from saymask.training.task import Task
from saymask.training.tokenizer import train_tokenizer

CLIPS = (40, 104, 152, 192)
"""Attribute questions whose target is in view all the time."""


def clips():
    world = load_toyworld(None, "train")
    return [world[index] for index in CLIPS]


class TheSameClips(Dataset):
    """Every batch holds all clips, with frames drawn anew."""

    def __init__(self, processor, seed):
        self.processor, self.seed, self.samples = processor, seed, clips()

    def __getitem__(self, index):
        return self.processor.to_batch(self.samples, np.random.default_rng([self.seed, index]))


class OverfitConfig(TrainConfig):
    kind: Literal["overfit"] = "overfit"
    optim: OptimConfig = OptimConfig(lr=2e-3, warmup_steps=20, weight_decay=0)
    batch_size: int = len(CLIPS)
    steps: int = 400
    log_every: int = 20

    def task(self) -> Task:
        answers = (FORCED_ANSWER, ABSENT_ANSWER)
        tokenizer = train_tokenizer([chat(phrase(clip.expression.text), answer, "") for clip in clips() for answer in answers], 400)
        numbers = {**TOY_MODEL, "num_sparse": 4, "num_dense": 1, "region_words": [*COLOURS, *KINDS]}
        numbers["seg_token_id"] = tokenizer.convert_tokens_to_ids("[SEG]")
        numbers["text_config"] = {
            **numbers["text_config"],
            "num_hidden_layers": 2,
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
        }
        torch.manual_seed(self.seed)
        config = VideoLisaConfig(**numbers)
        model = VideoLisaModel(config)
        processor = VideoLisaProcessor(tokenizer, config, num_supervised=4)
        return Task(model, TheSameClips(processor, self.seed), lambda folder: None, lambda: VideoLisaSegmenter(model, processor, "overfit"))


@pytest.mark.slow
def test_four_clips_are_learnt_by_heart(tmp_path: Path):
    config, task = OverfitConfig(), None

    class KeepsTask(OverfitConfig):
        """Lets the test ask the very model that was trained."""

        def task(self) -> Task:
            nonlocal task
            task = super().task()
            return task

    train(KeepsTask(**config.model_dump()), tmp_path / "run", runtime=Runtime("cpu"))
    assert task is not None and task.segmenter is not None
    exam = Exam("toyworld", "four clips", set_of(*clips()))
    row = score_rows(exam, {"model": own_answers(exam, task.segmenter())})["model"]
    scores = [entry["j"] for entry in row["expressions"]]
    assert len(scores) == 4 and min(scores) > 0.9, scores
