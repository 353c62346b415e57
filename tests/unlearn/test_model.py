"""Models to forget with: their geometries, and files that load in their own library again."""

import pytest
import torch

from protect.clip.models import TINY
from protect.clip.open_clip_import import open_clip
from protect.unlearn import lorentz
from protect.unlearn.checkpoint import load_model, save_model
from protect.unlearn.head import Clip, contrast
from protect.unlearn.hyperbolic_heads import HyCoClip, Meru, middles

CPU = torch.device("cpu")
CAPTIONS = ("a photo of a cat", "a boat on a lake", "a photo of a cat", "snow")


def tiny(geometry="sphere", seed=0, weights=""):
    return load_model("tiny-resnet", weights, CPU, geometry, 32, seed).eval()


@pytest.fixture(scope="module")
def models():
    return {geometry: tiny(geometry) for geometry in ("sphere", "meru", "hycoclip")}


@pytest.fixture(scope="module")
def batch():
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("geometry", ["sphere", "meru", "hycoclip"])
def test_all_geometries_have_one_face(models, batch, geometry):
    model = models[geometry]
    images, texts = model.images(batch), model.texts(CAPTIONS)
    assert images.shape == texts.shape == (4, 128) and torch.equal(texts[0], texts[2])
    similarity = model.similarity(images, texts)
    assert torch.allclose(similarity.diagonal(), model.matched(images, texts), atol=1e-5)
    assert torch.allclose(model.logits(images, texts), model.scale * similarity)
    assert model.similarity(texts, texts).argmax(dim=1).tolist()[1] == 1
    loss = model.parts_loss(batch, CAPTIONS)
    loss.backward()
    assert torch.isfinite(loss) and all(
        torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None
    )
    model.zero_grad()


def test_hyperbolic_points_keep_the_norm_of_the_tower(models, batch):
    radii = lorentz.radius(models["meru"].images(batch), models["meru"].curvature)
    assert radii.std() > 0 and (models["sphere"].images(batch).norm(dim=-1) - 1).abs().max() < 1e-5


def test_the_middle_of_equal_embeddings_is_that_embedding(models):
    for model in models.values():
        points = model.texts(["snow", "snow", "snow"])
        assert torch.allclose(model.middle(points), points[0], atol=1e-5)


def test_meru_trains_by_distance_and_cones(models, batch):
    model = models["meru"]
    images, texts = model.images(batch), model.texts(CAPTIONS)
    expected = contrast(-model.scale * lorentz.distances(images, texts, model.curvature))
    expected = expected + 0.2 * model.entailment(texts, images)
    assert torch.allclose(model.training_loss(images, texts), expected)
    assert model.entailment(texts, texts * 2).item() == 0


def test_curvature_and_gains_stay_in_their_limits(models):
    model = tiny("meru")
    model.log_curvature.data.fill_(9.0)
    model.log_image_gain.data.fill_(3.0)
    assert model.curvature.item() == pytest.approx(10)
    assert torch.isfinite(model.images(torch.rand(2, 3, 32, 32))).all()


def test_the_middle_of_an_image_fills_it(batch):
    x = torch.zeros(1, 3, 32, 32)
    x[:, :, 8:24, 8:24] = 1
    assert torch.equal(middles(x), torch.ones(1, 3, 32, 32))


@pytest.mark.parametrize("geometry", ["sphere", "meru", "hycoclip"])
def test_a_saved_model_is_the_same_again(models, batch, tmp_path, geometry):
    model = models[geometry]
    if geometry != "sphere":
        model.log_curvature.data.fill_(0.123)
    file = save_model(model, tmp_path)
    again = load_model("tiny-resnet", str(tmp_path), CPU, size=32)
    assert again.geometry == geometry and again.fingerprint() == model.fingerprint()
    assert load_model("tiny-resnet", str(file), CPU, size=32).fingerprint() == model.fingerprint()


def test_what_is_saved_loads_in_open_clip(models, batch, tmp_path):
    file = save_model(models["sphere"], tmp_path)
    config = TINY["tiny-resnet"]
    plain = open_clip().CLIP(**(config | {"vision_cfg": config["vision_cfg"] | {"image_size": 32}}))
    open_clip().load_checkpoint(plain, str(file))
    expected = models["sphere"].towers.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in plain.state_dict().items())


def test_hashes_follow_every_weight(models):
    first, second, other = tiny(), tiny(), tiny(seed=1)
    assert first.fingerprint() == second.fingerprint() != other.fingerprint()
    second.towers.model.logit_scale.data += 1e-6
    assert first.fingerprint() != second.fingerprint()


@pytest.fixture
def folder(tmp_path):
    """A Hugging Face CLIP of two layers, with its tokenizer."""
    open_clip()
    import transformers
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = {word: i for i, word in enumerate(("<pad>", "a", "photo", "of", "cat", "dog", "<start>", "<end>"))}
    raw = Tokenizer(WordLevel(words, unk_token="a"))
    raw.pre_tokenizer = Whitespace()
    raw.post_processor = TemplateProcessing(single="<start> $A <end>", special_tokens=[("<start>", 6), ("<end>", 7)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<start>", eos_token="<end>", pad_token="<pad>"
    )
    text = {"vocab_size": 8, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    text |= {"num_attention_heads": 2, "max_position_embeddings": 12, "eos_token_id": 7}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=text, vision_config=vision | {"image_size": 32, "patch_size": 16}, projection_dim=8
    )
    place = tmp_path / "hf"
    transformers.CLIPModel(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def test_a_hugging_face_folder_is_saved_as_one(folder, tmp_path):
    from transformers import CLIPModel

    model = load_model(str(folder), "", CPU)
    assert isinstance(model, Clip) and model.towers.size == 32
    (folder / "preprocessor_config.json").write_text('{"image_mean": null}')
    with torch.no_grad():
        model.towers.model.visual_projection.weight += 1
    out = save_model(model, tmp_path / "out", str(folder))
    assert load_model(str(out), "", CPU).fingerprint() == model.fingerprint()
    plain = CLIPModel.from_pretrained(out, local_files_only=True)
    assert torch.equal(plain.visual_projection.weight, model.towers.model.visual_projection.weight)
    assert (out / "preprocessor_config.json").exists()
    assert load_model(str(folder), "", CPU, scratch=True).fingerprint() != model.fingerprint()
    assert isinstance(load_model(str(folder), "", CPU, "meru"), Meru)


def test_a_head_of_another_kind_can_be_put_on(tmp_path, models):
    save_model(models["meru"], tmp_path)
    assert type(load_model("tiny-resnet", str(tmp_path), CPU, "sphere", 32)) is Clip
    assert type(load_model("tiny-resnet", str(tmp_path), CPU, "hycoclip", 32)) is HyCoClip
