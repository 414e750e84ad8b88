"""A model of one family as the beginning of another's."""

import pytest
import torch

from saymask.errors import ConfigError
from saymask.lookup import family_named
from saymask.models.beginnings import begin_as
from saymask.models.checkpoints import load_model, save_model
from saymask.runtime import Runtime

NUMBERS = {"num_segments": 2, "frames_per_segment": 2, "token_pool": 1, "context_width": 16, "context_heads": 2}
NUMBERS |= {"sync_width": 16, "sync_heads": 2}


def test_shared_parts_keep_their_weights_and_tokens_are_added(segmenter, tmp_path):
    begun = begin_as(segmenter, family_named("villa"), **NUMBERS)
    old, new = segmenter.model.state_dict(), begun.model.state_dict()
    rows = "language_model.model.embed_tokens.weight"
    for name, tensor in old.items():
        assert torch.equal(new[name][: len(tensor)] if name == rows else new[name], tensor), name
    assert begun.processor.tokenizer.convert_tokens_to_ids("[FRM]") == begun.config.frame_token_id
    assert segmenter.processor.tokenizer.encode("[FRM]") != [begun.config.frame_token_id]  # the base's tokenizer stays as it is
    save_model(begun.model, begun.processor, tmp_path / "start", torch.float32)
    assert load_model(tmp_path / "start", Runtime.choose("cpu", "float32")).family.name == "villa"


def test_another_language_model_is_no_beginning(segmenter, monkeypatch):
    from saymask.models import beginnings

    monkeypatch.setattr(beginnings, "_PARTS", tuple(part for part in beginnings._PARTS if part != "vision_config"))
    with pytest.raises(ConfigError, match=r"'?debug'? cannot begin as villa: visual\."):
        begin_as(segmenter, family_named("villa"), vision_config=None, **NUMBERS, num_context=1)
