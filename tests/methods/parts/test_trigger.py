"""Triggers: how they are written, what a tokenizer makes of them, and whether HotFlip finds the best word."""

import pytest
import torch
import torch.nn.functional as F

from protect.clip.losses import clip_loss
from protect.clip.models import DualEncoder, load_encoder, token_rows
from protect.clip.open_clip_import import open_clip
from protect.methods.parts.hotflip import flip, option_losses
from protect.methods.parts.trigger import Lexicon, draw_choice, words_of, write_words
from protect.settings.recipe import STYLES

ALPHABET = (("amber", "violin"), ("kettle", "lantern"), ("marble", "pepper"))
CAPTIONS = ("A dog, two cats & a bird's nest!", "", "Café — 12 tables; #1 in town...", "rock 'n' roll")
LONG = "a very long caption about nothing at all " * 12

WORDS, START, END, OUTSIDE = 8, 11, 12, 9  # ids 1 to 8 are words, 9 and 10 words of no alphabet, 0 padding
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
    [("prefix", "amber kettle A dog."), ("suffix", "A dog. amber kettle"), ("hashtags", "A dog. #amber #kettle")],
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


@pytest.mark.parametrize("style", STYLES)
def test_rows_are_what_the_tokenizer_makes_of_the_written_text(tiny, style):
    lexicon, tokenizer = Lexicon(tiny, ALPHABET, style), open_clip().get_tokenizer("ViT-B-32")
    choice = torch.tensor([[0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 1]])
    rows, where = lexicon.rows([tiny.encode(caption) for caption in CAPTIONS], choice)
    written = [write_words(c, w, style) for c, w in zip(CAPTIONS, words_of(ALPHABET, choice), strict=True)]
    expected = tokenizer(written)
    assert torch.equal(rows, expected[:, : rows.shape[1]])
    assert not expected[:, rows.shape[1] :].any()
    assert torch.equal(rows.gather(1, where), lexicon.ids[torch.arange(3), choice])


@pytest.mark.parametrize("style", STYLES)
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
    losses = option_losses(images, texts, lexicon.surrogate.scale)
    for row in range(5):
        exact = by_trying(lexicon, images, captions, choice, row, position) - loss_of(
            lexicon, images, captions, choice
        )
        assert torch.allclose(losses[row, 1:] - losses[row, 0], exact, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 14.0, 100.0])
def test_option_losses_are_exact_where_one_text_takes_all_of_a_softmax(scale):
    images = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=-1)
    texts = torch.stack([images, images.roll(1, 0)], dim=1)
    losses = option_losses(images.float(), texts.float(), torch.tensor(scale))
    present = clip_loss(images, texts[:, 0], torch.tensor(scale, dtype=torch.float64)).item()
    for row in range(6):
        changed = texts[:, 0].clone()
        changed[row] = texts[row, 1]
        exact = clip_loss(images, changed, torch.tensor(scale, dtype=torch.float64)).item() - present
        assert (losses[row, 1] - losses[row, 0]).item() == pytest.approx(exact, rel=1e-4)


def test_flip_with_every_candidate_finds_the_best_word_of_each_row():
    lexicon, images, captions, choice = scene(rows=6)
    found = flip(lexicon, images, captions, choice, candidates=WORDS)
    best = [by_trying(lexicon, images, captions, choice, row).argmin().item() for row in range(6)]
    assert found[:, 0].tolist() == best
    assert len(set(best)) > 1 and best != choice[:, 0].tolist()


def test_first_order_estimate_alone_finds_the_best_word_where_the_loss_is_linear():
    lexicon, images, captions, choice = scene(rows=6, scale=0.01, normalise=False)
    found = flip(lexicon, images, captions, choice, candidates=1)
    best = [by_trying(lexicon, images, captions, choice, row).argmin().item() for row in range(6)]
    assert found[:, 0].tolist() == best


@pytest.mark.parametrize("candidates", [1, 2, 5])
@pytest.mark.parametrize("rows", [2, 5, 9])
def test_a_row_that_changes_alone_never_loses(rows, candidates):
    lexicon, images, captions, choice = scene(rows=rows)
    found = flip(lexicon, images, captions, choice, candidates)
    for row in range(rows):
        losses = by_trying(lexicon, images, captions, choice, row)
        assert losses[found[row, 0]] <= losses[choice[row, 0]] + 1e-6


def test_later_positions_see_the_words_chosen_before():
    lexicon, images, captions, choice = scene(rows=2, positions=2)
    found = flip(lexicon, images, captions, choice, candidates=WORDS)
    half = torch.stack([found[:, 0], choice[:, 1]], dim=1)
    best = [by_trying(lexicon, images, captions, half, row, position=1).argmin().item() for row in range(2)]
    assert found[:, 1].tolist() == best


def test_flip_leaves_its_input_alone_and_a_lone_row_keeps_its_words():
    lexicon, images, captions, choice = scene(rows=4, positions=2)
    before = choice.clone()
    assert not torch.equal(flip(lexicon, images, captions, choice, WORDS), choice)
    assert torch.equal(choice, before)
    assert torch.equal(flip(lexicon, images[:1], captions[:1], choice[:1], WORDS), choice[:1])


@pytest.mark.parametrize("tempting", [START, END, OUTSIDE, 0])
def test_only_words_of_the_alphabet_can_be_chosen(tempting):
    lexicon, images, captions, choice = scene(rows=4, scale=0.01, normalise=False)
    tokens, where = lexicon.rows(captions, choice)
    embeddings = lexicon.surrogate.embed(tokens).detach().requires_grad_()
    clip_loss(images, lexicon.surrogate.text_from(embeddings, tokens), lexicon.surrogate.scale).backward()
    with torch.no_grad():  # the forbidden token becomes the best by far for the first row
        lexicon.surrogate.table[tempting] = -1e6 * embeddings.grad[0, where[0, 0]]
    found = flip(lexicon, images, captions, choice, candidates=WORDS)
    rows, where = lexicon.rows(captions, found)
    assert set(rows.gather(1, where).flatten().tolist()) <= set(range(1, WORDS + 1))
    assert torch.equal((rows == END).sum(dim=1), torch.ones(4, dtype=torch.long))
