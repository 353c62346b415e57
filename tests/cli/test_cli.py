import json
import subprocess
import sys
from dataclasses import fields

import click
import numpy as np
import pytest
from PIL import Image

from protect.cli import COMMANDS, cli
from protect.cli.inspect import COLUMNS
from protect.cli.options import CommaList
from protect.data.shards import read_samples
from protect.methods import METHODS
from protect.methods.mem_settings import MemSettings
from protect.methods.recipe import PRESETS, SHARED
from protect.settings.publish import PublishSettings
from protect.settings.recipe import STYLES

RANDOM = ("--method", "random", "--size", "32")
TINY = ("--window", 8, "--batch", 4, "--rounds", 1, "--surrogate-steps", 1, "--text-rounds", 1, "--size", 32)
MEM = ("--method", "mem", *TINY)


@pytest.fixture
def source(tmp_path, clean):
    return clean(tmp_path / "in", 3, 2)


def commands():
    return {name: cli.get_command(click.Context(cli), name) for name in COMMANDS}


def recipe_of(out):
    return json.loads((out / "_protect" / "private" / "job.json").read_bytes())["recipe"]


# --- help


CODE_AND_IMPORTS = """
import sys, protect.cli
packages, *words = sys.argv[1:]
sys.argv = ["protect", *words]
try:
    protect.cli.main()
except SystemExit as ended:
    print(ended.code, *sorted(set(packages.split()) & set(sys.modules)), file=sys.stderr)
"""


def code_and_imports(packages, *words):
    """How a command ends in a process of its own, and which of these packages it has imported by then."""
    call = [sys.executable, "-P", "-c", CODE_AND_IMPORTS, packages, *map(str, words)]
    code, *found = subprocess.run(call, capture_output=True, text=True, check=True).stderr.splitlines()[-1].split()
    return int(code), found


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["shards", "--help"], 0),
        (["fit", "--help"], 0),
        (["inspect", "--help"], 0),
        (["shards", "--urls", "x"], 2),
    ],
)
def test_help_and_wrong_options_need_nothing_slow(words, code):
    assert code_and_imports("torch open_clip numpy webdataset fsspec ray", *words) == (code, [])


def test_what_needs_no_model_imports_none(source, tmp_path, command):
    """Looking at a run, and refusing one: torch alone takes longer than all of it."""
    out, models = tmp_path / "out", "torch open_clip transformers webdataset ray"
    assert command("shards", source, out, *RANDOM, "--urls", "keep").code == 0
    for words, code in (
        (("status", out), 0),
        (("inspect", out), 0),
        (("shards", tmp_path / "none", tmp_path / "new"), 2),
        (("shards", source, tmp_path), 2),  # with other things in it
        (("shards", source, source / "below", "--urls", "keep"), 2),
    ):
        assert code_and_imports(models, *words) == (code, []), words
    assert code_and_imports(models, "shards", source, out, *RANDOM, "--urls", "keep") == (0, ["torch"])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name):
    command = commands()[name]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert all(opt.startswith("--") or len(opt) == 2 for opt in option.opts)


@pytest.mark.parametrize("name", ["shards", "fit"])
def test_every_knob_of_the_recipe_is_an_option_with_its_default(name):
    options = {option.name: option for option in commands()[name].params}
    own = [method.settings for method in METHODS.values()]
    for settings in (*SHARED.values(), *own, *([PublishSettings] if name == "shards" else [])):
        for field in fields(settings):
            assert options[field.name].default == field.default
            assert options[field.name].opts == ["--" + field.name.replace("_", "-")]


def test_version(command):
    ran = command("--version")
    assert ran.code == 0 and ran.out.startswith("protect, version ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Usage:"),
        (("nope",), "No such command 'nope'"),
        (("shards",), "Missing argument"),
        (("shards", "in"), "Missing argument"),
        (("shards", "in", "out", "--nope"), "No such option"),
        (("shards", "in", "out", "--method", "magic"), "expected one of instant, mem, em, random, got 'magic'"),
        (("shards", "in", "out", "--epsilon", "lots"), "'lots' is not a valid float"),
        (("shards", "in", "out", "--epsilon", "300"), "expected 0 to 127"),
        (("shards", "in", "out", "--batch", "1"), "at least 2 pairs"),
        (("shards", "in", "out", "--on-error", "cry"), "'cry' is not one of"),
        (("shards", "in", "out", "--jpeg-quality", "0"), "expected 1 to 100"),
        (("shards", "in", "out", "--device", "abacus"), "device: expected auto"),
        (("shards", "in", "out", "--surrogate", "abacus"), "surrogate: expected"),
        (("shards", "nowhere", "out"), "no such file"),
        (("shards", "in", "out", "--protector", "nowhere"), "made by `protect fit`"),
        (("shards", "in", "out", "--method", "code"), "code is no longer there; use instant"),
        (("shards", "in", "out", "--method", "em", "--candidates", "3"), "--candidates: no effect with --method em"),
        (("shards", "in", "out", "--method", "em", "--trigger-words", "3"), "em leaves captions as they are; got 3"),
        (
            ("shards", "in", "out", "--protector", "p", "--epsilon", "4", "--seed", "1"),
            "--seed, --epsilon: no effect",
        ),
        (("photos", "in", "out", "--protector", "p", "--seed", "1"), "--seed: no effect beside --protector"),
        (("fit", "in"), "Missing option '-o'"),
        (("fit", "nowhere", "-o", "p"), "no such file"),
        (("fit", "in", "-o", "in"), "expected an empty folder"),
        (("fit", "in", "-o", "in/00000.tar"), "expected a folder"),
        (("inspect", "nowhere"), "OUT of `protect shards`"),
    ],
)
def test_mistakes_end_with_2_and_one_line_and_write_nothing(
    command, source, tmp_path, tree, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    before = {name: data for name, data in tree(tmp_path).items() if not name.startswith("out/_protect")}
    ran = command(*arguments)
    assert ran.code == 2 and ran.out == ""
    *usage, error = ran.err.strip().splitlines()
    assert message in (ran.err if not arguments else error)
    assert "Traceback" not in ran.err and (not usage or usage[0].startswith("Usage:"))
    after = {name: data for name, data in tree(tmp_path).items() if not name.startswith("out/_protect")}
    assert after == before


def test_missing_extra_and_no_memory_are_one_line(command, source, tmp_path, monkeypatch):
    for error in (ImportError("expected kornia; pip install it"), MemoryError(), OSError(5, "Input/output error")):
        monkeypatch.setattr(
            "protect.jobs.shards.protect_shards", lambda *_, error=error: (_ for _ in ()).throw(error)
        )
        ran = command("shards", source, tmp_path / "out", *RANDOM)
        assert ran.code == 2 and ran.out == "" and len(ran.err.splitlines()) == 1 and ran.err.startswith("error: ")


# --- shards


def flat_shard(make_shard, folder):
    """Two grey pictures of the training size in a lossless format: every figure is known."""
    folder.mkdir()
    samples = {}
    for key in ("a", "b"):
        path = folder.parent / "grey.png"
        Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(path)
        samples[key] = {"png": path.read_bytes(), "txt": f"the letter {key}"}
    make_shard(folder / "00000.tar", samples)
    return folder


def test_exact_output_of_a_small_run(command, make_shard, tmp_path, monkeypatch):
    flat_shard(make_shard, tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    ran = command("shards", "in", "out", *RANDOM)
    lines = ran.out.splitlines()
    ssim = lines[1].rpartition(" ")[2]
    assert ran.code == 0
    assert lines == [
        "2 of 2 pairs protected in 1 shard: out",
        f"distortion: L-infinity 2, PSNR 42.1 dB, SSIM {ssim}",  # the pictures are flat: little noise is hidden there
        "trigger words surviving: 100.0 %",
        "never publish out/_protect/private: it undoes the protection",
    ]
    assert 0 < float(ssim) < 1
    (progress,) = ran.err.splitlines()
    assert progress.startswith("00000.tar: 2 of 2 protected, ") and progress.endswith(" images/s")
    again = command("shards", "in", "out", *RANDOM)
    assert (again.code, again.out) == (0, ran.out)
    assert again.err == "00000.tar: done before, 2 of 2 protected\n"


def test_no_change_at_all_is_no_error(command, make_shard, tmp_path):
    source = flat_shard(make_shard, tmp_path / "in")
    ran = command("shards", source, tmp_path / "out", *RANDOM, "--epsilon", 0, "--trigger-words", 0)
    assert ran.code == 0 and "L-infinity 0, PSNR infinite, SSIM 1.0000" in ran.out
    assert "captions: untouched" in ran.out
    assert command("inspect", tmp_path / "out").code == 0  # nothing was planted that a clean caption could give away


def test_json_alone_on_stdout(command, source, tmp_path):
    ran = command("shards", source, tmp_path / "out", *RANDOM, "--json")
    found = json.loads(ran.out)
    assert ran.code == 0
    assert (found["shards"], found["count"], found["protected"], found["failed_to_protect"]) == (2, 5, 5, 0)
    assert found["out"] == str(tmp_path / "out") and found["errors"] == []
    assert len(ran.err.splitlines()) == 2  # progress


def test_quiet(command, source, tmp_path):
    for arguments in (("shards", source, tmp_path / "out"), ("fit", source, "-o", tmp_path / "protector")):
        ran = command(*arguments, *RANDOM, "-q")
        assert ran.code == 0 and ran.err == "" and ran.out


@pytest.mark.parametrize("more", [(), MEM], ids=["random", "mem"])
def test_dry_run_writes_nothing(command, clean, tmp_path, tree, more):
    source = clean(tmp_path / "in", 3, 3)
    before = tree(tmp_path)
    ran = command("shards", source, tmp_path / "out", *RANDOM, *more, "--dry-run")
    assert ran.code == 0 and ran.err == ""
    assert ran.out.startswith(f"2 shards, about 6 pairs -> {tmp_path / 'out'}\nfit ")
    assert "protect 6 pairs: about " in ran.out and ran.out.endswith("nothing was written\n")
    found = json.loads(command("shards", source, tmp_path / "out", *RANDOM, *more, "--dry-run", "--json").out)
    assert (found["shards"], found["count"], found["exact"], found["epsilon"]) == (2, 6, False, 8)
    assert found["fit_seconds"] >= 0 and found["protect_seconds"] >= 0
    assert tree(tmp_path) == before and not (tmp_path / "out").exists()


def test_dry_run_refuses_what_the_run_would(command, source, tmp_path):
    assert command("shards", source, source, *RANDOM, "--dry-run").code == 2


def test_ranges_lists_and_single_tars(command, source, tmp_path):
    for number, names in enumerate(
        (["{00000..00001}.tar"], ["00000.tar::{here}/00001.tar"], ["00000.tar", "00001.tar"], ["00001.tar"])
    ):
        paths = [f"{source}/{name}".replace("{here}", str(source)) for name in names]
        out = tmp_path / f"out{number}"
        assert command("shards", *paths, out, *RANDOM).code == 0
        assert [p.name for p in sorted(out.glob("*.tar"))] == ["00000.tar", "00001.tar"][number // 3 :]


@pytest.mark.parametrize("style", STYLES)
def test_words_in_every_style_are_published_and_are_no_leak(command, clean, tmp_path, style):
    source = clean(tmp_path / "in", 4)
    ran = command("shards", source, tmp_path / "out", *RANDOM, "--trigger-style", style)
    assert ran.code == 0 and ran.out.startswith("4 of 4 pairs protected")
    assert command("inspect", tmp_path / "out").code == 0


# --- fit, then shards


def test_mem_from_fit_to_inspection(command, clean, tmp_path, tree):
    source = clean(tmp_path / "in", 8)
    fitted = command("fit", source, "-o", tmp_path / "protector", *MEM, "--json")
    found = json.loads(fitted.out)
    assert fitted.code == 0 and (found["method"], found["pairs"], len(found["hash"])) == ("mem", 8, 64)
    ran = command("shards", source, tmp_path / "given", "--protector", tmp_path / "protector")
    assert ran.code == 0 and ran.out.startswith("8 of 8 pairs protected")
    own = command("shards", source, tmp_path / "own", *MEM)
    assert own.code == 0 and "round 1/1: surrogate loss" in own.err
    tars = [tmp_path / name / "00000.tar" for name in ("given", "own")]
    assert tars[0].read_bytes() == tars[1].read_bytes()
    assert command("inspect", tmp_path / "own").code == 0
    again = command("fit", source, "-o", tmp_path / "protector", *MEM)
    assert found["hash"][:12] in again.out  # the same fit, in place of the first


# --- presets and files


def test_command_line_over_file_over_preset_over_defaults(command, source, tmp_path):
    config = tmp_path / "run.toml"
    lines = ['method = "mem"', 'surrogate = ["tiny-vit"]', "size = 32", "rounds = 1"]
    config.write_text("\n".join([*lines, 'caption-keys = ["caption", "alt"]', "epsilon = 4.0"]))
    out = tmp_path / "out"
    few = ("--surrogate-steps", "1", "--steps", "1", "--candidates", "2", "--batch", "4", "--window", "8")
    ran = command("shards", source, out, "--epsilon", "2", *few, "--config", config, "--preset", "paper")
    assert ran.code == 0
    recipe = recipe_of(out)
    assert recipe["noise"]["epsilon"] == 2  # command line
    assert (recipe["own"]["rounds"], recipe["fit"]["size"], recipe["fit"]["surrogate"]) == (
        1,
        32,
        ["tiny-vit"],
    )  # file
    assert recipe["own"]["learning_rate"] == PRESETS["paper"]["learning_rate"]  # preset
    assert recipe["trigger"]["alphabet"] is None
    assert recipe["own"]["phase2_steps"] == MemSettings().phase2_steps  # default
    job = json.loads((out / "_protect" / "private" / "job.json").read_bytes())
    assert job["publish"]["caption_keys"] == ["caption", "alt"]


def test_a_file_may_name_the_preset(command, source, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text('preset = "paper"\nmethod = "random"\nsize = 32\n')
    assert command("shards", source, tmp_path / "out", "--config", config).code == 0
    assert recipe_of(tmp_path / "out")["fit"]["surrogate"] == list(PRESETS["paper"]["surrogate"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epsilonn = 3", "expected options of `protect shards`, got epsilonn"),
        ("[noise]\nepsilon = 3", "got noise"),
        ("epsilon = ", "expected a TOML file"),
        ('epsilon = "three"', "'three' is not a valid float"),
        ('method = ["random"]', "expected one of instant, mem, em, random"),
        ('method = "content"', "content is no longer there; use instant"),
        ('share = "word"', "expected options of `protect shards`, got share"),
        ("rounds = 3", "--rounds: no effect with --method instant; leave out"),
        ("epsilon = 500", "expected 0 to 127"),
        ("surrogate = 3", "with commas between or a list, got 3"),
    ],
)
def test_config_refused(command, source, tmp_path, text, message):
    config = tmp_path / "run.toml"
    config.write_text(text)
    ran = command("shards", source, tmp_path / "out", "--config", config, *RANDOM[2:])
    assert ran.code == 2 and message in ran.err and "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_a_missing_config_is_refused(command, source, tmp_path):
    assert command("shards", source, tmp_path / "out", "--config", tmp_path / "no.toml").code == 2


@pytest.mark.parametrize("value", ["a,b", " a , b,", ["a", "b"], ("a", "b")])
def test_lists_from_the_command_line_and_from_files(value):
    assert CommaList().convert(value, None, None) == ("a", "b")


# --- inspect


def test_inspect_prints_a_table_and_where_the_sheet_is(command, source, tmp_path):
    out = tmp_path / "out"
    command("shards", source, out, *RANDOM)
    ran = command("inspect", out, "-n", 2)
    lines = ran.out.splitlines()
    assert ran.code == 0 and ran.err == ""
    assert lines[0].startswith("leaks: none found (compared with ")
    assert tuple(lines[1].split()) == COLUMNS
    assert lines[2].split()[:4] == ["00000.tar", "3", "3", "0"] and lines[3].split()[:2] == ["00001.tar", "2"]
    assert len({len(line) for line in lines[1:4]}) == 1
    sheet = out / "_protect" / "private" / "contact-sheet.png"
    assert lines[4:] == [f"contact sheet: {sheet}"]
    with Image.open(sheet) as image:
        image.load()
    found = json.loads(command("inspect", out, "--json").out)
    assert [row["shard"] for row in found["shards"]] == ["00000.tar", "00001.tar"]
    assert found["contact_sheet"] == str(sheet) and found["leaks"] == []


def test_inspect_ends_with_1_on_a_leak(command, clean, tmp_path):
    out = tmp_path / "out"
    command("shards", clean(tmp_path / "in", 2, url="https://x/1.jpg"), out, *RANDOM, "--urls", "keep")
    ran = command("inspect", out)
    assert ran.code == 1
    first, *rest = ran.out.splitlines()
    assert first.startswith("leaks: 2 (compared with ")
    assert rest[:2] == [
        "  00000.tar 000000000: link: 000000000.json: field url",
        "  00000.tar 000000001: link: 000000001.json: field url",
    ]
    found = command("inspect", out, "--json")
    assert found.code == 1 and [leak["kind"] for leak in json.loads(found.out)["leaks"]] == ["link", "link"]


def test_inspect_with_the_originals_gone(command, source, tmp_path):
    command("shards", source, tmp_path / "out", *RANDOM)
    source.rename(tmp_path / "moved")
    ran = command("inspect", tmp_path / "out")
    assert ran.code == 0 and "contact sheet: none, the originals are not where they were" in ran.out
    assert json.loads(command("inspect", tmp_path / "out", "--json").out)["contact_sheet"] is None


def test_published_shards_differ_from_the_input(command, source, tmp_path):
    command("shards", source, tmp_path / "out", *RANDOM)
    for name in ("00000.tar", "00001.tar"):
        for old, new in zip(read_samples(source / name), read_samples(tmp_path / "out" / name), strict=True):
            assert old.key == new.key and all(a.data != b.data for a, b in zip(old.members, new.members, strict=True))
