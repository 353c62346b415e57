"""Every CLIP behind the same face: unit features, honest text towers, weights by seed or file, clear refusals."""

import json
import weakref

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from protect.clip import device, dual_encoder
from protect.clip.models import choose_device, image_size, load_encoder, optimizer, token_rows
from protect.clip.open_clip_import import open_clip

CPU = torch.device("cpu")
TINY = [("tiny-resnet", 32), ("tiny-resnet", 64), ("tiny-vit", 32), ("tiny-vit", 64)]
TEXTS = ("a dog", "", "A photo of two cats & a bird's nest!", "many words about nothing at all " * 20)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def fp32(monkeypatch):
    """No autocast, whatever this machine would choose."""
    monkeypatch.setattr(dual_encoder, "autocast_type", lambda device: None)


def views(size, rows=3):
    return torch.rand(rows, 3, size, size, generator=torch.Generator().manual_seed(0))


def rows_of(surrogate, texts=TEXTS):
    return surrogate.rows([surrogate.encode(text) for text in texts])


def one_line(error):
    return "\n" not in str(error.value) and len(str(error.value)) < 600


def same(first, second):
    mine, others = first.state_dict(), second.state_dict()
    return mine.keys() == others.keys() and all(torch.equal(mine[name], others[name]) for name in mine)


@pytest.mark.parametrize(("name", "size"), TINY)
def test_features_have_unit_length_and_carry_gradients(name, size):
    surrogate = load_encoder(name, CPU, size=size).eval()
    images = views(size).requires_grad_()
    pictures, texts = surrogate.images(images), surrogate.text(rows_of(surrogate))
    for features in (pictures, texts):
        assert features.shape[1] == 128 and features.dtype == torch.float32
        assert torch.allclose(features.norm(dim=1), torch.ones(len(features)), atol=1e-5)
        assert len({feature.numpy().tobytes() for feature in features.detach()}) == len(features)
    pictures[:, 0].sum().backward()
    assert images.grad.abs().amax(dim=(1, 2, 3)).min() > 0
    assert surrogate.size == size


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-vit"])
def test_weights_follow_the_seed_and_the_global_generator_does_not_notice(name):
    before = torch.get_rng_state()
    first, again, other = (load_encoder(name, CPU, size=32, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(first, again) and not same(first, other)


def test_memory_is_free_as_soon_as_a_surrogate_is_dropped():
    surrogate = load_encoder("tiny-vit", CPU, size=32)
    surrogate.encode("a dog")
    gone = weakref.ref(surrogate.model)
    del surrogate
    assert gone() is None


@pytest.mark.parametrize(("name", "size"), TINY[::2])
def test_text_equals_open_clip_on_full_rows(name, size):
    surrogate = load_encoder(name, CPU, size=size).eval()
    full = open_clip().get_tokenizer("ViT-B-32")(list(TEXTS))
    for texts in (TEXTS, TEXTS[:2]):
        rows = rows_of(surrogate, texts)
        assert torch.equal(rows, full[: len(texts), : rows.shape[1]])
        expected = surrogate.model.encode_text(full[: len(texts)], normalize=True)
        assert torch.allclose(surrogate.text(rows), expected, atol=1e-5)
    assert rows.shape[1] == 4  # trimmed to the longest


@pytest.mark.parametrize("text", [{}, {"no_causal_mask": True}])
@pytest.mark.parametrize("custom", [False, True])
def test_open_clip_models_by_name_give_open_clips_features(tmp_path, custom, text):
    name = add_config(tmp_path, custom_text=custom, **(text if custom else {}))
    surrogate = load_encoder(name, CPU, seed=1).eval()
    full = open_clip().get_tokenizer("ViT-B-32")(list(TEXTS[:3]))
    expected = surrogate.model.encode_text(full, normalize=True)
    assert torch.allclose(surrogate.text(rows_of(surrogate, TEXTS[:3])), expected, atol=1e-5)
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1) for v in (open_clip().OPENAI_DATASET_MEAN, open_clip().OPENAI_DATASET_STD)
    )
    pictures = surrogate.model.encode_image((views(16) - mean) / std, normalize=True)
    assert torch.allclose(surrogate.images(views(16)), pictures, atol=1e-5)
    assert surrogate.size == 16 == image_size([name], CPU, 0)


def add_config(folder, custom_text=False, **text):
    """A small open_clip architecture under a name of its own."""
    name = f"small{custom_text}{''.join(text)}"
    config = {
        "embed_dim": 8,
        "vision_cfg": {"layers": 1, "width": 16, "head_width": 8, "patch_size": 8, "image_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1, **text},
        "custom_text": custom_text,
    }
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip().add_model_config(folder / f"{name}.json")
    return name


def test_coca_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a CLIP whose text ends in its end token"):
        load_encoder(add_config(tmp_path, custom_text=True, embed_cls=True), CPU)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Hugging Face CLIP of 16 dimensions, saved in half precision, with a tokenizer of single letters and `dog`."""
    open_clip()
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    merges = [("d", "o"), ("do", "g</w>")]
    pieces = [
        *LETTERS,
        *(f"{c}</w>" for c in LETTERS),
        *map("".join, merges),
        "#</w>",
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    size = len(pieces)
    blocks = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    config = CLIPConfig(
        text_config={**blocks, **ends, "vocab_size": size, "max_position_embeddings": 12},
        vision_config={**blocks, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    path = tmp_path_factory.mktemp("clip")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).half().save_pretrained(path)
    CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges).save_pretrained(path)
    return path


def test_hugging_face_model_has_the_same_face(folder):
    surrogate = load_encoder(str(folder), CPU).eval()
    texts = ["a dog", "", "dogs and cats and dogs"]
    rows = rows_of(surrogate, texts)
    own = surrogate.tokenizer(texts, padding="max_length", max_length=12, truncation=True, return_tensors="pt")
    expected = F.normalize(surrogate._pooled(surrogate.model.get_text_features(**own)), dim=-1)
    assert torch.equal(rows, own.input_ids[:, : rows.shape[1]])
    assert torch.allclose(surrogate.text_from(surrogate.embed(rows), rows), expected, atol=1e-5)
    assert surrogate.encode("dog") == (53,) and surrogate.encode("#") == (54,)
    assert (surrogate.size, surrogate.context) == (32, 12) and image_size([str(folder)], CPU, 0) == 32
    assert torch.allclose(surrogate.images(views(32)).norm(dim=1), torch.ones(3), atol=1e-5)
    assert {p.dtype for p in surrogate.parameters()} == {torch.float32}


def test_hugging_face_text_answers_to_its_embeddings(folder):
    surrogate = load_encoder(str(folder), CPU).eval()
    rows = rows_of(surrogate, ["a dog", "cats"])
    other = surrogate.embed(rows).detach().clone()
    other[0, 1] = surrogate.embedding_table[7].detach()
    changed = rows.clone()
    changed[0, 1] = 7
    other.requires_grad_()
    features = surrogate.text_from(other, rows)
    assert torch.allclose(features, surrogate.text(changed), atol=1e-6)
    assert not torch.allclose(features, surrogate.text(rows), atol=1e-3)
    features[0].sum().backward()
    assert other.grad[0].any() and not other.grad[1].any()


def test_a_folders_preprocessor_names_the_normalisation(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1]}')
    own, clips = load_encoder(str(tmp_path), CPU).eval(), load_encoder(str(folder), CPU).eval()
    assert own.mean.flatten().tolist() == [0.5] * 3 and own.std.flatten().tolist() == [0.25, 0.5, 1]
    same = (views(32) - 0.5) / torch.tensor([0.25, 0.5, 1]).view(1, 3, 1, 1) * clips.std + clips.mean
    assert torch.allclose(own.images(views(32)), clips.images(same), atol=1e-5)
    assert image_size([str(tmp_path)], CPU, 0) == 32


def test_folders_that_hold_no_clip_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="expected a saved CLIP model and tokenizer") as empty:
        load_encoder(str(tmp_path), CPU)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(ValueError, match="expected a saved CLIP model and tokenizer") as weightless:
        load_encoder(str(tmp_path), CPU)
    assert one_line(empty) and one_line(weightless)


@pytest.mark.parametrize("name", ["tiny-resnet", "tiny-vit"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_checkpoint_of_a_tiny_model_loads(tmp_path, name, suffix):
    trained = load_encoder(name, CPU, size=32, seed=1)
    weights, path = trained.model.state_dict(), tmp_path / f"model.{suffix}"
    if suffix == "pt":
        torch.save(weights, path)
    else:
        save_file({k: v.contiguous() for k, v in weights.items()}, path)
    assert same(load_encoder(name, CPU, pretrained=str(path), size=32, seed=2), trained)


def test_weights_that_do_not_exist_or_fit_are_refused_in_one_line(tmp_path):
    other = tmp_path / "other.pt"
    torch.save(load_encoder("tiny-resnet", CPU, size=32).model.state_dict(), other)
    (tmp_path / "text.pt").write_text("not weights\n" * 20)
    (tmp_path / "empty.pt").touch()
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 20)
    for path in (*sorted(tmp_path.iterdir()), tmp_path / "missing.pt"):
        with pytest.raises(ValueError, match="tiny-vit: expected its weights in") as error:
            load_encoder("tiny-vit", CPU, pretrained=str(path), size=32)
        assert one_line(error), path


def test_unknown_names_tags_and_sizes_are_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"expected an open_clip name .*got 'RN5000'") as unknown:
        load_encoder("RN5000", CPU)
    with pytest.raises(ValueError, match="expected its weights in 'nowhere'") as tag:
        load_encoder(add_config(tmp_path), CPU, pretrained="nowhere")
    with pytest.raises(ValueError, match="multiple of 32 for tiny-resnet, got 48") as size:
        load_encoder("tiny-resnet", CPU, size=48)
    assert all(map(one_line, (unknown, tag, size)))
    for name, wrong in (("RN50", 100), ("tiny-vit", 36), ("tiny-vit", -8)):
        with pytest.raises(ValueError, match="size: expected a multiple"):
            load_encoder(name, CPU, size=wrong)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", ""])
def test_devices_this_machine_lacks_are_refused_in_one_line(name):
    with pytest.raises(ValueError, match=f"device: expected auto, cpu, .*got '{name}'") as error:
        choose_device(name)
    assert one_line(error)
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


def test_view_size_is_the_surrogates_own_unless_they_differ():
    assert image_size(["tiny-resnet", "tiny-vit"], CPU, 0) == image_size(["auto"], CPU, 0) == 64
    assert image_size(["tiny-resnet", "ViT-B-32"], CPU, 96) == 96
    with pytest.raises(ValueError, match="size: expected one for all surrogates"):
        image_size(["tiny-resnet", "ViT-B-32"], CPU, 0)


def test_rows_are_cut_so_that_the_end_always_stays():
    captions = [(1, 2, 3, 4, 5, 6), (7,), ()]
    assert token_rows(captions, 90, 91, 0, 5).tolist() == [[90, 1, 2, 3, 91], [90, 7, 91, 0, 0], [90, 91, 0, 0, 0]]
    assert token_rows(captions, None, 91, 9, 5).tolist() == [[1, 2, 3, 4, 91], [7, 91, 9, 9, 9], [91, 9, 9, 9, 9]]


def test_scale_never_exceeds_its_limit():
    surrogate = load_encoder("tiny-vit", CPU, size=32)
    assert surrogate.scale.item() == pytest.approx(1 / 0.07, rel=1e-4)
    surrogate.logit_scale.data.fill_(9.0)
    assert surrogate.scale.item() == 100.0


def test_half_precision_stays_inside():
    surrogate = load_encoder("tiny-resnet", CPU, size=32).eval()
    images, rows = views(32).requires_grad_(), rows_of(surrogate)
    exact = surrogate.images(images).detach(), surrogate.text(rows).detach()
    surrogate.autocast_type = torch.bfloat16
    for features, expected in zip((surrogate.images(images), surrogate.text(rows)), exact, strict=True):
        assert features.dtype == torch.float32
        assert torch.allclose(features.norm(dim=1), torch.ones(len(features)), atol=1e-5)
        assert not torch.equal(features, expected)
        assert (features * expected).sum(dim=1).min() > 0.98


@pytest.mark.parametrize(("half", "full", "chosen"), [(1.0, 1.6, torch.bfloat16), (1.0, 1.4, None), (9.0, 1.0, None)])
def test_precision_follows_the_time_of_products(monkeypatch, half, full, chosen):
    times = {torch.bfloat16: half, torch.float32: full}
    monkeypatch.setattr(device, "_product_seconds", lambda kind, device, enough=1.0: times[kind])
    assert device._fast_type(CPU) == chosen


def test_a_slow_precision_is_given_up_after_two_products(monkeypatch):
    clock, products = iter(range(100)), []
    monkeypatch.setattr(device.time, "perf_counter", lambda: products.append(1) or float(next(clock)))
    assert device._product_seconds(torch.float32, CPU, enough=0.5) == 1.0
    assert len(products) == 4  # begin and end of two
    assert device._product_seconds(torch.float32, CPU, enough=2.0) == 1.0
    assert len(products) == 4 + 12


def test_only_matrices_decay():
    surrogate = load_encoder("tiny-vit", CPU, size=32)
    matrices, others = optimizer(surrogate, 1e-3, 0.2).param_groups
    assert (matrices["weight_decay"], others["weight_decay"]) == (0.2, 0.0)
    assert all(p.ndim > 1 for p in matrices["params"])
    plain = {n for n, p in surrogate.named_parameters() if any(p is other for other in others["params"])}
    assert {n for n in plain if not n.endswith(("bias", "weight"))} == {
        "model.logit_scale",
        "model.visual.class_embedding",
    }
    assert len(matrices["params"]) + len(plain) == len(list(surrogate.parameters()))
