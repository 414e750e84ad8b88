"""A narrow SAM 3 with random weights, saved as the published one is."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, Sam3VideoConfig, Sam3VideoModel

WORDS = ["[PAD]", "[UNK]", "<s>", "</s>", "red", "dog", "ball"]
SIZE = 112


@pytest.fixture(scope="session")
def sam3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    vit = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIZE,
        "pretrain_image_size": SIZE,
        "window_size": 4,
        "global_attn_indexes": [1],
    }
    sides = [[32, 32], [16, 16], [8, 8]]
    vision = {"model_type": "sam3_vision_model", "backbone_config": vit, "backbone_feature_sizes": sides, "fpn_hidden_size": 256}
    text = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "intermediate_size": 16,
        "projection_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 8,
        "eos_token_id": 3,
        "bos_token_id": 2,
        "pad_token_id": 0,
    }
    small = {"num_layers": 1, "intermediate_size": 16}
    detector = {
        "vision_config": vision,
        "text_config": text,
        "geometry_encoder_config": small,
        "detr_encoder_config": small,
        "detr_decoder_config": {**small, "num_queries": 6},
    }
    tracker = {
        "vision_config": vision,
        "image_size": SIZE,
        "prompt_encoder_config": {"image_size": SIZE},
        "mask_decoder_config": {"mlp_dim": 16, "iou_head_hidden_dim": 16},
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 16,
        "memory_attention_rope_feat_sizes": [8, 8],
        "memory_fuser_num_layers": 1,
        "memory_fuser_intermediate_dim": 16,
        "num_maskmem": 3,
        "max_object_pointers_in_encoder": 4,
        "max_cond_frame_num": 2,
    }
    config = Sam3VideoConfig(
        detector_config=detector,
        tracker_config=tracker,
        low_res_mask_size=32,
        score_threshold_detection=0.05,
        new_det_thresh=0.05,
        hotstart_delay=3,
        hotstart_unmatch_thresh=2,
        hotstart_dup_thresh=2,
        recondition_every_nth_frame=4,
        high_conf_thresh=0.05,
        high_iou_thresh=0.05,
        max_num_objects=3,
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = Sam3VideoModel(config)
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    folder = tmp_path_factory.mktemp("sam3")
    model.save_pretrained(folder)
    words = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return folder
