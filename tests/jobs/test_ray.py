"""Shards on a small Ray: the bytes of one process, whichever workers are killed."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_run import PUBLISH, RECIPE

from protect.data.storage import place
from protect.files import PlanError
from protect.jobs.executors import Distribution, Work
from protect.jobs.plan import make_plan
from protect.jobs.reference import ShardReference
from protect.jobs.shards import protect_shards
from protect.jobs.status import status

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Ray of two cores, and two GPUs that it believes in."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    os.environ["RAY_AUTH_MODE"] = "disabled"  # other processes join it
    ray = pytest.importorskip("ray", reason="ray is not installed")
    variables = {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    ray.init(
        num_cpus=2, num_gpus=2, include_dashboard=False, object_store_memory=80 << 20, log_to_driver=False,
        logging_level="ERROR", runtime_env={"env_vars": variables}, _temp_dir=str(tmp_path_factory.mktemp("r")),
    )  # fmt: skip
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def local(source, protector, tree):
    protect_shards(make_plan([str(source)], source.parent / "local", PUBLISH), RECIPE, protector)
    return tree(source.parent / "local")


def on_ray(source, out, protector, **how):
    plan = make_plan([str(source)], str(out), PUBLISH)
    return protect_shards(plan, RECIPE, protector, how=Distribution(distributor="ray", **how))


def test_tasks_write_what_one_process_does_though_they_are_killed(
    cluster, source, protector, local, tree, tmp_path, monkeypatch
):
    from protect.jobs.executors import ray as executor

    mark = tmp_path / "killed"

    def deadly(packed, work, reference):
        """The first try of a shard is killed."""
        from protect.jobs.executors.ray import _protect  # the true one: this runs in a worker

        if reference.name == "00001.tar" and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return _protect(packed, work, reference)

    monkeypatch.setattr(executor, "_protect", deadly)
    done = on_ray(source, tmp_path / "out", protector)
    assert [stats["protected"] for stats in done] == [3, 2, 2]
    assert tree(tmp_path / "out") == local and mark.exists()
    assert status(tmp_path / "out").failed == {}


def test_actors_keep_the_protector(cluster, source, protector, local, tree, tmp_path):
    done = on_ray(source, tmp_path / "out", protector, gpus_per_worker=1.0)
    assert [stats["protected"] for stats in done] == [3, 2, 2]
    assert tree(tmp_path / "out") == local


def test_a_shard_that_takes_too_long_fails_alone(cluster, source, protector, tmp_path, monkeypatch):
    from protect.jobs.executors import ray as executor

    def slow(packed, work, reference):
        from protect.jobs.executors.ray import _limited, _protect

        if reference.name == "00001.tar":
            with _limited(work.how.seconds):
                time.sleep(60)
        return _protect(packed, replace(work, how=Distribution()), reference)

    monkeypatch.setattr(executor, "_protect", slow)
    done = on_ray(source, tmp_path / "out", protector, shard_timeout="1s", tries=1)
    assert [stats["count"] for stats in done] == [3, 0, 2]
    assert "tried 1 times: its worker died" in status(tmp_path / "out").failed["00001.tar"]


def test_a_straggler_is_given_to_a_second_worker_and_may_end_later(
    cluster, source, protector, local, bucket, tmp_path, monkeypatch
):
    from protect.jobs.executors import ray as executor

    storage = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

    def slow(packed, work, reference):
        """Who first has the second shard does nothing until it is told to."""
        from protect.jobs.executors.ray import _protect

        os.environ.update(storage)
        if reference.name != "00001.tar" or (tmp_path / "begun").exists():
            return _protect(packed, work, reference)
        (tmp_path / "begun").touch()
        while not (tmp_path / "go").exists():
            time.sleep(0.1)
        report = _protect(packed, work, reference)
        (tmp_path / "ended").touch()
        return report

    monkeypatch.setattr(executor, "_protect", slow)
    monkeypatch.setattr(executor, "WAIT", 0.2)
    done = on_ray(source, f"s3://{bucket.name}/out", protector)
    assert [stats["protected"] for stats in done] == [3, 2, 2]
    files = bucket.tree("out")
    (tmp_path / "go").touch()
    end = time.monotonic() + 60
    while not (tmp_path / "ended").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert (tmp_path / "ended").exists() and bucket.tree("out") == files
    assert {name: files[name] for name in local if name.endswith(".tar")} == {
        name: data for name, data in local.items() if name.endswith(".tar")
    }


def test_a_killed_driver_is_started_again_and_nothing_is_lost(cluster, source, protector, local, tree, tmp_path):
    protector.save(tmp_path / "protector")
    out = tmp_path / "out"
    command = [sys.executable, "-P", "-m", "protect.cli", "shards", source, out, "--urls", "keep", "-q"]
    command += ["--protector", tmp_path / "protector", "--distributor", "ray"]
    command += ["--address", cluster.get_runtime_context().gcs_address]
    driver = subprocess.Popen(command)
    while not list(out.glob("*.tar*")) and driver.poll() is None:
        time.sleep(0.01)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    assert status(out).failed == {} and status(out).waiting == []
    assert tree(out) == local


def test_more_gpus_than_there_are(cluster, source, protector, tmp_path):
    with pytest.raises(PlanError, match="expected 3 GPUs in the cluster, found 2; add one or leave it out"):
        on_ray(source, tmp_path / "out", protector, gpus_per_worker=3.0)


def test_the_memory_of_one_process_is_no_place_for_many(protector):
    from protect.jobs.executors import run

    reference = ShardReference(place("memory://in/0.tar"), place("memory://out"), "0.tar", "run")
    with pytest.raises(PlanError, match=r"^memory://: expected files that all workers reach"):
        list(run(Work([reference], protector, PUBLISH, Distribution(distributor="ray"))))
