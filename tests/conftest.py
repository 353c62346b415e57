"""Tiny shards and photos, built in memory."""

import io
import json
import os
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

Content = bytes | str | dict
Members = Iterable[tuple[str, bytes]]
EXCUSES = ("hardware: ", "data: ")  # how the reason of a skip may begin where STRICT is set


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With STRICT set, as in continuous integration, a skip that more could be installed for is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("STRICT"):
        return
    reasons = {str(report.longrepr[2]).removeprefix("Skipped: ") for report in reporter.stats.get("skipped", ())}
    if wrong := sorted(reason for reason in reasons if not reason.startswith(EXCUSES)):
        reporter.write_line(f"STRICT: skipped for no good reason: {'; '.join(wrong)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches the tests even where they were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser without a window; skipped where none is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu", *QUIET])
        yield running
        running.close()


@pytest.fixture(scope="session")
def photo_bytes() -> Callable[..., bytes]:
    """photo_bytes(format, mode, size, seed, **save options): a small picture file, smooth with some noise."""

    def make(
        format: str = "JPEG",
        mode: str = "RGB",
        size: tuple[int, int] = (64, 48),
        seed: int = 0,
        **options: object,
    ) -> bytes:
        width, height = size
        down, right = np.mgrid[0:height, 0:width]
        smooth = np.stack([down * 255 / height, right * 255 / width, 255 - down * 255 / height], axis=2)
        pixels = smooth + np.random.default_rng(seed).normal(0, 8, smooth.shape)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        elif mode == "LA":
            image = image.convert("L").convert("LA")
        else:
            image = image.convert(mode)
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def make_tar() -> Callable[[Path, Members], Path]:
    """make_tar(path, [(name, data), ...]): a tar as others write it, gzip when the name ends in gz."""

    def make(path: Path, members: Members) -> Path:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.uname = len(data), 1700000000, "someone"
                tar.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture(scope="session")
def make_shard(make_tar: Callable[[Path, Members], Path]) -> Callable[[Path, Mapping], Path]:
    """make_shard(path, {key: {extension: bytes | str | dict}}): a dict becomes img2dataset's JSON."""

    def as_bytes(content: Content) -> bytes:
        if isinstance(content, dict):
            content = json.dumps(content, indent=4)
        return content.encode() if isinstance(content, str) else content

    def make(path: Path, samples: Mapping[str, Mapping[str, Content]]) -> Path:
        return make_tar(
            path, [(f"{k}.{e}", as_bytes(c)) for k, members in samples.items() for e, c in members.items()]
        )

    return make


@pytest.fixture(scope="session")
def pair(photo_bytes: Callable[..., bytes]) -> Callable[..., dict[str, Content]]:
    """pair(number, **json fields): jpg, json and txt of one sample as img2dataset writes them."""

    def make(number: int, **fields: object) -> dict[str, Content]:
        caption = f"photo number {number} of a harbour"
        fields = {"caption": caption, "key": str(number), **fields}
        return {"jpg": photo_bytes(seed=number), "json": fields, "txt": caption}

    return make


@pytest.fixture(scope="session")
def clean(make_shard: Callable[..., Path], pair: Callable[..., dict[str, Content]]) -> Callable[..., Path]:
    """clean(folder, 3, 2, parquet=True, **json fields): a folder with a shard of 3 pairs and one of 2."""

    def make(folder: Path, *counts: int, parquet: bool = False, **fields: object) -> Path:
        folder.mkdir(parents=True)
        for shard, count in enumerate(counts):
            samples = {f"{shard:05}{i:04}": pair(10 * shard + i, **fields) for i in range(count)}
            make_shard(folder / f"{shard:05}.tar", samples)
            if parquet:
                captions = [str(sample["txt"]) for sample in samples.values()]
                pq.write_table(pa.table({"key": list(samples), "caption": captions}), folder / f"{shard:05}.parquet")
        return folder

    return make


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, bytes]]:
    """tree(folder): every file below it and its bytes, but for the log of times."""

    def read(folder: Path) -> dict[str, bytes]:
        files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "log.jsonl")
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    return read


@pytest.fixture(scope="session")
def half_written() -> Callable[[Path], list[str]]:
    """half_written(out): parts of files, and tars without the stats that say they are done."""

    def find(out: Path) -> list[str]:
        parts = [path.name for path in out.rglob("*.part")]
        stems = {tar.name.split(".")[0]: tar.name for tar in out.glob("*.t*")}
        return parts + [name for stem, name in stems.items() if not (out / f"{stem}_stats.json").exists()]

    return find


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """command("shards", IN, OUT, ...): `protect` in this process, from its arguments to its exit code."""

    def run(*arguments: object) -> Ran:
        from protect.cli import main

        monkeypatch.setattr(sys, "argv", ["protect", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ran(ended.value.code, *capsys.readouterr())

    return run


CLAIMS = ("protected", "trigger-stripped", "clean-captions")
SHARES = {
    "clean": 1.0,
    "random-noise": 0.97,
    "random-trigger": 0.9,
    "protected": 0.12,
    "trigger-stripped": 0.31,
    "clean-captions": 0.28,
    "jpeg-75": 0.19,
    "strong-augmentation": 0.41,
    "mix-50": 0.55,
    "absent-50": 0.5,
    "other": 0.6,
}


@pytest.fixture(scope="session")
def comparison() -> Callable[..., Any]:
    """comparison({row: share of the clean gain}, seeds=1, gain=0.6, **fields): a finished verification, made up."""
    from protect.clip.retrieval import chance
    from protect.verify.countermeasures import COUNTERMEASURES
    from protect.verify.records import MANDATORY, Arm, Cheap, EpochResult, Group, Pictures, Run, Source
    from protect.verify.result import Comparison
    from protect.verify.runs.controls import CONTROLS

    def epoch(number: int, score: float) -> EpochResult:
        ways = ("image", "text")
        metrics = {f"{way}_retrieval_recall@{k}": score for way in ways for k in (1, 5, 10)}
        metrics |= {f"{way}_retrieval_median_rank": round(100 - 90 * score) + 0.0 for way in ways}
        metrics |= {f"{way}_retrieval_mean_percentile_rank": 0.475 + score / 2 for way in ways}
        hits = tuple(float(i < 200 * score) for i in range(200))
        pictures = Pictures(hits, tuple(0.475 + score / 2 for _ in hits))
        return EpochResult(number, 4 - 3 * score if number else None, metrics, 1.5, pictures=pictures)

    deeds = {row.name: row.deed for row in (*CONTROLS, *COUNTERMEASURES.values())}

    def arm(name: str) -> Arm:
        groups = {"other": Group.FURTHER} | dict.fromkeys(MANDATORY, Group.MANDATORY)
        starts = {"mix-": Group.MIXTURE, "absent-": Group.MIXTURE, "clean:": Group.CONTROL}
        known = (group for start, group in starts.items() if name.startswith(start))
        group = groups.get(name) or next(known, Group.COUNTERMEASURE)
        claim = group is Group.COUNTERMEASURE or name in CLAIMS
        slow = name in COUNTERMEASURES and COUNTERMEASURES[name].slow
        percent = float(name.partition("-")[2]) if group is Group.MIXTURE else None
        about = (f"note on {name}", deeds.get(name, ""), slow, percent, not name.startswith("absent-"))
        return Arm(name, group, claim, 800, 0, {"00000.tar": f"{len(name):064x}"}, *about)

    def make(shares: Mapping[str, float] = SHARES, seeds: int = 1, gain: float = 0.6, **fields: Any) -> Comparison:
        guess = chance([1] * 200)
        base = guess["image_retrieval_recall@10"]
        runs = tuple(
            Run(f"{name}{attacker}{seed}", name, attacker, seed, tuple(
                epoch(number, base + gain * share * scale * (1 + 0.04 * seed) * (number / 4) ** 0.5)
                for number in range(5)
            ))
            for name, share in shares.items()
            for attacker, scale in (("tiny-resnet", 1.0), ("tiny-vit", 0.8))
            for seed in range(seeds)
        )  # fmt: skip
        cheap = Cheap(("00000.tar: field url",), {"CLIP": 1.0, "BERT": 0.9996}, 8.0, 32.5, 0.93, 41.0, 0.99, 0.97,
                      {"cnn": 0.99, "words": 0.71}, probe_clean=0.06)  # fmt: skip
        whole = {
            "settings": {"seeds": seeds, "epochs": 4, "attackers": ("tiny-resnet", "tiny-vit"), "require": None},
            "versions": {"protect": "1.0", "torch": "2"},
            "test": Source("test", 200, 1, {"test.tar": "ab" * 32}),
            "arms": tuple(map(arm, shares)),
            "chance": guess,
            "cheap": cheap,
            "left_out": ("Purification: needs weights that were not named.",),
            "seconds": 754.0,
        }
        return Comparison(runs=runs, **whole | fields)

    return make


@pytest.fixture
def small_minimiser() -> Callable[[str], Any]:
    """small_minimiser(surrogate name): a run of mem on six small pairs in fp32, its surrogate not frozen yet."""
    import torch

    from protect.data.window import Window
    from protect.methods.mem_settings import MemSettings
    from protect.methods.parts.budget import Budget
    from protect.methods.parts.error_min import Minimiser
    from protect.methods.parts.noise import SampleWise
    from protect.methods.parts.trigger import draw_choice
    from protect.methods.parts.wordlist import draw_alphabet
    from protect.methods.recipe import Recipe
    from protect.settings.recipe import FitSettings, TriggerSettings

    captions = ("a dog", "two cats on a chair", "a red boat", "the old man and the sea", "rain", "a dog and a boat")

    def make(name: str) -> Minimiser:
        recipe = Recipe(
            FitSettings("mem", (name,), size=32, window=6, batch=6, precision="fp32"),
            TriggerSettings(trigger_words=3, alphabet=12),
            own=MemSettings(steps=4, candidates=5),
        )
        window, random = Window(32, 6), np.random.default_rng(5)
        for number, caption in enumerate(captions):
            window.add(str(number), random.integers(0, 256, (3, 32, 32), dtype=np.uint8), [caption])
        alphabet = draw_alphabet(3, 12, 0)
        noise, cpu = SampleWise(window, Budget(8.0)), torch.device("cpu")
        made = Minimiser(window, recipe, alphabet, draw_choice(window.keys, alphabet, 0), noise, True, cpu, str)
        made.start_surrogate(0)
        return made

    return make


@pytest.fixture(scope="session")
def bring_back() -> Callable[[np.ndarray, int], np.ndarray]:
    """bring_back(change, size): a change (HxWxC) after the attacker's resize and centre crop, C x size x size."""
    from protect.data.views import see

    def resized(change: np.ndarray, size: int) -> np.ndarray:
        planes = (np.ascontiguousarray(change[..., c], dtype=np.float32) for c in range(change.shape[-1]))
        return np.stack([np.asarray(see(Image.fromarray(plane), size)) for plane in planes])

    return resized


class Bucket(NamedTuple):
    """A bucket of an S3 server of these tests, whose requests can be made to fail."""

    name: str
    faults: dict[str, Any]

    def fail(self, count: int, after: int = 0, only: str = "") -> None:
        """After so many requests (of one HTTP method) so many are answered with 503."""
        self.faults.update(after=after, count=count, only=only)

    def heal(self) -> None:
        self.faults.update(after=0, count=0, only="")

    def uploads(self) -> list[str]:
        """Uploads that were begun and neither finished nor given up."""
        import boto3

        return [one["Key"] for one in boto3.client("s3").list_multipart_uploads(Bucket=self.name).get("Uploads", ())]

    def tree(self, prefix: str) -> dict[str, bytes]:
        """Every object below a folder and its bytes."""
        import boto3

        client, found = boto3.client("s3"), {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=f"{prefix}/"):
            for one in page.get("Contents", ()):
                body = client.get_object(Bucket=self.name, Key=one["Key"])["Body"]
                found[one["Key"].removeprefix(f"{prefix}/")] = body.read()
        return found

    def put(self, folder: Path, prefix: str) -> str:
        """Uploads a local folder; its address."""
        import boto3

        client = boto3.client("s3")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                client.put_object(
                    Bucket=self.name, Key=f"{prefix}/{path.relative_to(folder).as_posix()}", Body=path.read_bytes()
                )
        return f"s3://{self.name}/{prefix}"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of an S3 server on this machine, and the faults that it is to make."""
    import logging

    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    faults: dict[str, Any] = {"after": 0, "count": 0, "only": ""}
    true = DomainDispatcherApplication.__call__

    def answer(self: Any, environ: Any, start_response: Any) -> Any:
        if faults["count"] and faults["only"] in ("", environ["REQUEST_METHOD"]):
            if faults["after"]:
                faults["after"] -= 1
            else:
                faults["count"] -= 1
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start_response("503 Slow Down", [("Content-Type", "application/xml")])
                return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        return true(self, environ, start_response)

    DomainDispatcherApplication.__call__ = answer
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}", faults
    server.stop()
    DomainDispatcherApplication.__call__ = true


@pytest.fixture
def bucket(s3_server: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[Bucket]:
    """A new bucket; this process and its children reach it as s3://NAME."""
    import boto3
    import fsspec

    address, faults = s3_server
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "hunter2", "DEFAULT_REGION": "us-east-1",
                "ENDPOINT_URL": address, "EC2_METADATA_DISABLED": "true", "MAX_ATTEMPTS": "1",
                "CONFIG_FILE": os.devnull, "SHARED_CREDENTIALS_FILE": os.devnull}  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    boto3.client("s3").create_bucket(Bucket=name)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    made = Bucket(name, faults)
    yield made
    made.heal()
    fsspec.get_filesystem_class("s3").clear_instance_cache()
