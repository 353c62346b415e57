"""A captioning model in a Hugging Face folder writes the captions; here a tiny one with random weights."""

import numpy as np
import pytest
import torch

from protect.clip.open_clip_import import open_clip
from protect.verify.attackers.wordpiece import learned_tokenizer
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.reading.pairs import Pairs

ROW = COUNTERMEASURES["machine-captions"]
RANDOM = np.random.default_rng(0)
PICTURES = [RANDOM.integers(0, 256, (20 + i, 24, 3), np.uint8) for i in range(3)]
PAIRS = Pairs(("a", "b", "c"), PICTURES, (("zebra one", "zebra two"),) * 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A GIT model of one layer, its tokenizer and its image processor."""
    open_clip()
    from transformers import CLIPImageProcessor, GitConfig, GitForCausalLM

    path, tokenizer = tmp_path_factory.mktemp("captioner"), learned_tokenizer(["a dog runs", "two cats sleep"], 32)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = GitConfig(
        vision_config=small | {"image_size": 16, "patch_size": 8},
        vocab_size=len(tokenizer),
        max_position_embeddings=64,
        **small,
        **special,
    )
    torch.manual_seed(0)
    GitForCausalLM(config).save_pretrained(path)
    size = {"height": 16, "width": 16}
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=size).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)


def test_every_picture_has_one_caption_by_the_model_and_the_same_again(folder):
    row = ROW.from_setting(folder)
    once, again = row.pairs(PAIRS), row.pairs(PAIRS)
    assert once.captions == again.captions and row.setting is None
    assert set(once.keys) <= set(PAIRS.keys) and len(once) > 0
    assert all(len(lines) == 1 and "zebra" not in lines[0] for lines in once.captions)


def test_what_is_no_captioner_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a Hugging Face folder with a captioning model, got 'nowhere'"):
        ROW.from_setting("nowhere")
    with pytest.raises(ValueError, match="expected a captioning model of transformers"):
        ROW.from_setting(str(tmp_path)).pairs(PAIRS)
