"""A WordPiece tokenizer learned from the captions at hand: another kind than CLIP's, without a download."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from protect.clip.open_clip_import import open_clip

PIECES = 4096
LETTERS = 1000  # of the captions' script at most; what is rarer becomes [UNK]
PAD, UNKNOWN, START, END = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def learned_tokenizer(captions: Iterable[str], context: int) -> Any:
    """A tokenizer in BERT's manner (lower case, no accents, `##` inside words), the same for the same captions."""
    open_clip()  # transformers imports torchvision, which may need clip_import's help
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {piece: i for i, piece in enumerate(pieces(captions))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(START, vocabulary[START]), (END, vocabulary[END])]
    backend.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=ends)
    backend.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=context,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=START,
        sep_token=END,
        bos_token=START,
        eos_token=END,
    )


def pieces(captions: Iterable[str]) -> list[str]:
    """The vocabulary: special tokens first, then letters, then what WordPiece's training joins."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    words = Counter[str]()
    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    for caption in captions:
        words.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(caption)))
    counts = Counter[str]()
    for word, count in words.items():
        for letter in word:
            counts[letter] += count
    letters = sorted(sorted(counts), key=lambda letter: -counts[letter])[:LETTERS]
    # the trainer numbers what it meets in an order that changes from run to run, and breaks ties by number:
    # given all letters beforehand, it has nothing left to number but what it joins
    fixed = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    known = set(letters)
    usable = [word for word in sorted(words) if known.issuperset(word)]
    trainer = trainers.WordPieceTrainer(vocab_size=max(PIECES, len(fixed)), special_tokens=fixed, show_progress=False)
    learner = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator((" ".join([word] * words[word]) for word in usable), trainer)
    vocabulary = learner.get_vocab()
    return sorted(vocabulary, key=lambda piece: vocabulary[piece])
