"""Triggers: how they are written, what a tokenizer makes of them, and whether HotFlip finds the best word."""

import pytest
import torch
import torch.nn.functional as F

from protect.clip.losses import clip_loss, clip_rows
from protect.clip.models import DualEncoder, load_encoder, token_rows
from protect.clip.open_clip_import import open_clip
from protect.methods.parts.contrast import InBatch, WithAnchors
from protect.methods.parts.hotflip import flip
from protect.methods.parts.trigger import Lexicon, draw_choice, words_of
from protect.methods.parts.writing import write_words

ALPHABET = (("amber", "violin"), ("kettle", "lantern"), ("marble", "pepper"))
CAPTIONS = ("A dog, two cats & a bird's nest!", "", "Café — 12 tables; #1 in town...", "rock 'n' roll")
LONG = "a very long caption about nothing at all " * 12

WORDS, START, END, OUTSIDE = 8, 11, 12, 9  # ids 1 to 8 are words, 9 and 10 words of no alphabet, 0 padding
SEARCHED = ("prefix", "suffix", "hashtags")  # styles whose words stand in one place
LETTERS = (tuple(f"w{i}" for i in range(1, WORDS + 1)),)


class Linear(DualEncoder):
    """A text tower that is linear in the embeddings, with an alphabet small enough to try every word."""

    context, start_token, end_token, size = 9, START, END, 8

    def __init__(self, scale, normalise):
        super().__init__("linear", torch.device("cpu"))
        random = torch.Generator().manual_seed(3)
        self.table = torch.nn.Parameter(torch.randn(END + 1, 4, generator=random))
        self.matrix = torch.randn(self.context, 4, 6, generator=random)
        self.log_scale, self.normalise = torch.tensor(scale).log(), normalise

    @property
    def logit_scale(self):
        return self.log_scale

    @property
    def embedding_table(self):
        return self.table

    def encode(self, caption):
        return tuple(int(word[1:]) for word in caption.split())

    def rows(self, captions):
        return token_rows(captions, START, END, 0, self.context)

    def text_from(self, embeddings, tokens):
        features = torch.einsum("blw,lwd->bd", embeddings, self.matrix[: embeddings.shape[1]])
        return F.normalize(features, dim=-1) if self.normalise else features


def scene(rows=5, positions=1, scale=14.0, normalise=True):
    """A surrogate, its lexicon, image features, captions and a first choice."""
    random = torch.Generator().manual_seed(rows)
    lexicon = Lexicon(Linear(scale, normalise), LETTERS * positions)
    images = F.normalize(torch.randn(rows, 6, generator=random), dim=-1)
    captions = [tuple(torch.randint(1, 11, (3,), generator=random).tolist()) for _ in range(rows)]
    return lexicon, images, captions, torch.randint(0, WORDS, (rows, positions), generator=random)


def in_batch(lexicon, images):
    return InBatch(images, lexicon.surrogate.scale)


def loss_of(lexicon, images, captions, choice):
    tokens, _ = lexicon.rows(captions, choice)
    return clip_loss(images, lexicon.surrogate.text(tokens), lexicon.surrogate.scale).item()


def texts_of(lexicon, captions, choice):
    return lexicon.surrogate.text(lexicon.rows(captions, choice)[0]).detach()


def with_symbol(choice, position, symbol):
    changed = choice.clone()
    changed[:, position] = symbol
    return changed


def by_trying(lexicon, images, captions, choice, row, position=0):
    """The batch's loss for every word of one row."""
    losses = []
    for symbol in range(WORDS):
        changed = choice.clone()
        changed[row, position] = symbol
        losses.append(loss_of(lexicon, images, captions, changed))
    return torch.tensor(losses)


@pytest.fixture(scope="module")
def tiny():
    return load_encoder("tiny-vit", torch.device("cpu"), size=32)


@pytest.mark.parametrize(
    ("style", "written"),
    [
        ("prefix", "amber kettle A dog."),
        ("suffix", "A dog. amber kettle"),
        ("hashtags", "A dog. #amber #kettle"),
        ("both", "amber kettle A dog. amber kettle"),
    ],
)
def test_words_are_written_where_the_style_says(style, written):
    assert write_words("A dog.", ("amber", "kettle"), style) == written
    assert write_words("A  dog.\n", (), style) == "A  dog.\n"


def test_first_words_depend_on_key_and_seed_alone():
    keys, alphabet = [str(i) for i in range(200)], (tuple("abcd"), tuple("efg"))
    choice = draw_choice(keys, alphabet, 0)
    assert torch.equal(draw_choice(keys[50:60][::-1], alphabet, 0), choice[50:60].flip(0))
    assert not torch.equal(draw_choice(keys, alphabet, 1), choice)
    assert choice[:, 0].bincount(minlength=4).min() > 20 and choice[:, 1].bincount(minlength=3).min() > 30
    assert draw_choice(keys, (), 0).shape == (200, 0)


def test_choice_reads_as_words():
    assert words_of(ALPHABET, torch.tensor([[0, 1, 1], [1, 0, 0]])) == (
        ("amber", "lantern", "pepper"),
        ("violin", "kettle", "marble"),
    )
    assert words_of((), torch.zeros(2, 0, dtype=torch.long)) == ((), ())


@pytest.mark.parametrize("style", SEARCHED)
def test_rows_are_what_the_tokenizer_makes_of_the_written_text(tiny, style):
    lexicon, tokenizer = Lexicon(tiny, ALPHABET, style), open_clip().get_tokenizer("ViT-B-32")
    choice = torch.tensor([[0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 1]])
    rows, where = lexicon.rows([tiny.encode(caption) for caption in CAPTIONS], choice)
    written = [write_words(c, w, style) for c, w in zip(CAPTIONS, words_of(ALPHABET, choice), strict=True)]
    expected = tokenizer(written)
    assert torch.equal(rows, expected[:, : rows.shape[1]])
    assert not expected[:, rows.shape[1] :].any()
    assert torch.equal(rows.gather(1, where), lexicon.ids[torch.arange(3), choice])


@pytest.mark.parametrize("style", SEARCHED)
def test_a_caption_longer_than_the_context_is_cut_never_its_trigger(tiny, style):
    lexicon, tokenizer = Lexicon(tiny, ALPHABET, style), open_clip().get_tokenizer("ViT-B-32")
    rows, where = lexicon.rows([tiny.encode(LONG)], torch.tensor([[0, 1, 0]]))
    room = 75 - (6 if style == "hashtags" else 3)
    cut = tokenizer.decode(tiny.encode(LONG)[:room]).strip()
    expected = tokenizer([write_words(cut, ("amber", "lantern", "marble"), style)])
    assert torch.equal(rows, expected)
    assert rows[0, -1] == tiny.end_token
    assert rows.gather(1, where).tolist() == [[tiny.encode(w)[0] for w in ("amber", "lantern", "marble")]]


def test_words_of_several_tokens_are_refused(tiny):
    with pytest.raises(ValueError, match=r"'xqzzy': expected one token under tiny-vit, got \d"):
        _ = Lexicon(tiny, (("amber", "xqzzy"),)).ids


@pytest.mark.parametrize(("style", "fits"), [("prefix", 75), ("hashtags", 37)])
def test_a_trigger_longer_than_the_context_is_refused(tiny, style, fits):
    choice = torch.zeros(1, fits, dtype=torch.long)
    rows, where = Lexicon(tiny, (("amber",),) * fits, style).rows([(320,)], choice)
    assert rows.shape[1] <= 77 and (rows.gather(1, where) == tiny.encode("amber")[0]).all()
    with pytest.raises(ValueError, match=r"expected at most 75 tokens.*lower trigger_words"):
        Lexicon(tiny, (("amber",),) * (fits + 1), style).rows([(320,)], torch.zeros(1, fits + 1, dtype=torch.long))


@pytest.mark.parametrize("position", [0, 1])
def test_option_losses_differ_as_the_batch_loss_does(position):
    lexicon, images, captions, choice = scene(rows=5, positions=2)
    texts = torch.stack([texts_of(lexicon, captions, choice)] + [
        texts_of(lexicon, captions, with_symbol(choice, position, symbol)) for symbol in range(WORDS)
    ], dim=1)  # fmt: skip
    losses = InBatch(images, lexicon.surrogate.scale).options(texts)
    for row in range(5):
        exact = by_trying(lexicon, images, captions, choice, row, position) - loss_of(
            lexicon, images, captions, choice
        )
        assert torch.allclose(losses[row, 1:] - losses[row, 0], exact, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 14.0, 100.0])
def test_option_losses_are_exact_where_one_text_takes_all_of_a_softmax(scale):
    images = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=-1)
    texts = torch.stack([images, images.roll(1, 0)], dim=1)
    losses = InBatch(images.float(), torch.tensor(scale)).options(texts.float())
    present = clip_loss(images, texts[:, 0], torch.tensor(scale, dtype=torch.float64)).item()
    for row in range(6):
        changed = texts[:, 0].clone()
        changed[row] = texts[row, 1]
        exact = clip_loss(images, changed, torch.tensor(scale, dtype=torch.float64)).item() - present
        assert (losses[row, 1] - losses[row, 0]).item() == pytest.approx(exact, rel=1e-4)


def test_flip_with_every_candidate_finds_the_best_word_of_each_row_that_changes():
    lexicon, images, captions, choice = scene(rows=6)
    found = flip(lexicon, in_batch(lexicon, images), captions, choice, candidates=WORDS)
    best = torch.tensor([by_trying(lexicon, images, captions, choice, row).argmin().item() for row in range(6)])
    moved = found[:, 0] != choice[:, 0]
    assert torch.equal(found[moved, 0], best[moved])
    assert moved.sum() >= 3 and len(set(best.tolist())) > 1


@pytest.mark.parametrize("positions", [1, 3])
@pytest.mark.parametrize("rows", [2, 3, 5, 9])
def test_the_batchs_loss_with_all_new_words_never_rises(rows, positions):
    lexicon, images, captions, choice = scene(rows=rows, positions=positions)
    for candidates in (1, 2, WORDS):
        found = flip(lexicon, in_batch(lexicon, images), captions, choice, candidates)
        assert loss_of(lexicon, images, captions, found) <= loss_of(lexicon, images, captions, choice) + 1e-6
        assert torch.equal(found, choice) or (
            loss_of(lexicon, images, captions, found) < loss_of(lexicon, images, captions, choice)
        )


def test_rows_that_ask_for_the_same_text_are_refused_together():
    images = F.normalize(torch.tensor([[1.0, 0.2], [1.0, -0.2]]), dim=-1)
    texts = F.normalize(torch.tensor([[0.2, 1.0], [0.2, -1.0]]), dim=-1)
    same = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), dim=-1)
    scale = torch.tensor(14.0)
    alone = [clip_loss(images, torch.where(torch.tensor([[i == 0], [i == 1]]), same, texts), scale) for i in (0, 1)]
    assert all(loss > clip_loss(images, texts, scale) for loss in alone)  # told apart now, alike afterwards
    assert not InBatch(images, scale).accepted(texts, same).any()
    assert InBatch(images, scale).accepted(same, texts).all()


def test_first_order_estimate_alone_finds_the_best_word_where_the_loss_is_linear():
    lexicon, images, captions, choice = scene(rows=6, scale=0.01, normalise=False)
    found = flip(lexicon, in_batch(lexicon, images), captions, choice, candidates=1)
    best = torch.tensor([by_trying(lexicon, images, captions, choice, row).argmin().item() for row in range(6)])
    moved = found[:, 0] != choice[:, 0]
    assert moved.any() and torch.equal(found[moved, 0], best[moved])


@pytest.mark.parametrize("candidates", [1, 2, 5])
@pytest.mark.parametrize("rows", [2, 5, 9])
def test_a_row_that_changes_alone_never_loses(rows, candidates):
    lexicon, images, captions, choice = scene(rows=rows)
    found = flip(lexicon, in_batch(lexicon, images), captions, choice, candidates)
    for row in range(rows):
        losses = by_trying(lexicon, images, captions, choice, row)
        assert losses[found[row, 0]] <= losses[choice[row, 0]] + 1e-6


def test_later_positions_see_the_words_chosen_before():
    lexicon, images, captions, choice = scene(rows=6, positions=2)
    found = flip(lexicon, in_batch(lexicon, images), captions, choice, candidates=WORDS)
    half = torch.stack([found[:, 0], choice[:, 1]], dim=1)
    best = torch.tensor([by_trying(lexicon, images, captions, half, r, position=1).argmin().item() for r in range(6)])
    moved = found[:, 1] != choice[:, 1]
    assert moved.any() and torch.equal(found[moved, 1], best[moved])


def test_flip_leaves_its_input_alone_and_a_lone_row_keeps_its_words():
    lexicon, images, captions, choice = scene(rows=4, positions=2)
    before = choice.clone()
    assert not torch.equal(flip(lexicon, in_batch(lexicon, images), captions, choice, WORDS), choice)
    assert torch.equal(choice, before)
    assert torch.equal(flip(lexicon, in_batch(lexicon, images[:1]), captions[:1], choice[:1], WORDS), choice[:1])


@pytest.mark.parametrize("tempting", [START, END, OUTSIDE, 0])
def test_only_words_of_the_alphabet_can_be_chosen(tempting):
    lexicon, images, captions, choice = scene(rows=4, scale=0.01, normalise=False)
    tokens, where = lexicon.rows(captions, choice)
    embeddings = lexicon.surrogate.embed(tokens).detach().requires_grad_()
    clip_loss(images, lexicon.surrogate.text_from(embeddings, tokens), lexicon.surrogate.scale).backward()
    with torch.no_grad():  # the forbidden token becomes the best by far for the first row
        lexicon.surrogate.table[tempting] = -1e6 * embeddings.grad[0, where[0, 0]]
    found = flip(lexicon, in_batch(lexicon, images), captions, choice, candidates=WORDS)
    rows, where = lexicon.rows(captions, found)
    assert set(rows.gather(1, where).flatten().tolist()) <= set(range(1, WORDS + 1))
    assert torch.equal((rows == END).sum(dim=1), torch.ones(4, dtype=torch.long))


def test_with_anchors_a_row_is_contrasted_with_stored_pairs_alone():
    lexicon, images, captions, choice = scene(rows=4, positions=2)
    stored, scale = scene(rows=7)[1], lexicon.surrogate.scale
    contrast = WithAnchors(images, scale, stored, stored.roll(1, 0))
    texts = texts_of(lexicon, captions, choice)
    for row in range(4):
        own_images, own_texts = (
            torch.cat([images[row, None], stored]),
            torch.cat([texts[row, None], stored.roll(1, 0)]),
        )
        expected = clip_rows(own_images, own_texts, scale)[0]
        torch.testing.assert_close(contrast.rows(texts[:, None])[row, 0], expected)
    found = flip(lexicon, contrast, captions, choice, WORDS)
    assert not torch.equal(found, choice)
    for row in range(4):
        alone = WithAnchors(images[row, None], scale, stored, stored.roll(1, 0))
        assert torch.equal(flip(lexicon, alone, captions[row : row + 1], choice[row : row + 1], WORDS)[0], found[row])
    before, after = (contrast.loss(texts_of(lexicon, captions, c)) for c in (choice, found))
    assert after < before
