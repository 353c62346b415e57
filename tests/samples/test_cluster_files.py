"""The files for clusters: read by Ray's own loader, by bash and by the fields that Kubernetes knows."""

import os
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from protect.cli import cli
from protect.jobs.parts import part_of

FOLDER = Path(__file__).parents[2] / "samples" / "cluster"


def parse(words):
    """The arguments of `protect` as click takes them; a wrong one raises click.UsageError."""
    return cli.get_command(click.Context(cli), words[1]).make_context(words[1], list(words[2:])).params


@pytest.mark.filterwarnings("ignore")
def test_ray_takes_the_cluster_file():
    util = pytest.importorskip("ray.autoscaler._private.util", reason="ray is not installed")
    config = yaml.safe_load((FOLDER / "ray.yaml").read_text())
    whole = util.prepare_config(config)
    util.validate_config(whole)
    types = whole["available_node_types"]
    assert whole["head_node_type"] in types and types["head"]["resources"]["CPU"] == 0
    assert types["worker"]["max_workers"] == whole["max_workers"]
    with pytest.raises(Exception, match="resources"):  # the check is one
        del types["worker"]["resources"]
        util.validate_config(whole)


def test_the_command_in_the_cluster_file_exists():
    text = (FOLDER / "ray.yaml").read_text()
    (line,) = (line.lstrip("# ") for line in text.splitlines() if "protect shards" in line)
    assert parse(line.split())["distributor"] == "ray"


def test_the_machines_of_ray_install_the_wheel_that_is_sent_to_them(tmp_path):
    """`python3` writes down how it is called."""
    config = yaml.safe_load((FOLDER / "ray.yaml").read_text())
    ((there, here),) = config["file_mounts"].items()
    assert f"-w {here}" in (FOLDER / "ray.yaml").read_text()
    wheel, fake = tmp_path / "protect_pairs-0.1.0-py3-none-any.whl", tmp_path / "python3"
    wheel.touch()
    fake.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/call\n')
    fake.chmod(0o755)
    (command,) = config["setup_commands"]
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["bash", "-c", command.replace(there, str(tmp_path))], env={"PATH": path}, check=True)
    assert (tmp_path / "call").read_text() == f"-m pip install {wheel}[s3,ray]\n"


def test_the_job_of_an_array_runs_its_part_and_retries_what_has_failed(tmp_path):
    """`protect` writes down how it is called; the first call of the second job says that a shard has failed."""
    script = FOLDER / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    calls, fake = tmp_path / "calls", tmp_path / "protect"
    fake.write_text(f'#!/bin/sh\necho "protect $*" >> {calls}\ncase "$SLURM_ARRAY_TASK_ID$*" in 2*--retry*) exit 0;; '
                    "2*) exit 1;; 3*) exit 2;; esac\n")  # fmt: skip
    fake.chmod(0o755)
    codes = []
    for number in (1, 2, 3):
        array = {"ID": number, "COUNT": 3, "MIN": 1, "MAX": 3, "STEP": 1}
        variables = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in array.items()}
        environment = {
            **os.environ,
            **variables,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_CPUS_PER_TASK": "8",
        }
        assert str(part_of(None, variables)) == f"{number - 1}/3"
        codes.append(subprocess.run(["bash", script, "s3://b/in", "s3://b/out", "key"], env=environment).returncode)
    assert codes == [0, 0, 2]
    lines = calls.read_text().splitlines()
    assert len(lines) == 4 and lines[2] == f"{lines[1]} --retry-failed"
    options = parse(lines[2].split())
    assert (options["sources"], options["out"], options["workers"]) == (("s3://b/in",), "s3://b/out", 8)
    assert options["protector"] == "key" and options["retry_failed"]


def test_the_array_asks_for_what_slurm_knows():
    lines = [line for line in (FOLDER / "slurm.sh").read_text().splitlines() if line.startswith("#SBATCH ")]
    options = dict(line.removeprefix("#SBATCH --").partition("=")[::2] for line in lines)
    assert set(options) == {"job-name", "array", "cpus-per-task", "mem", "time", "requeue", "output"}
    assert options["array"].startswith("0-")


def test_the_indexed_job_has_the_fields_that_kubernetes_asks_for():
    job = yaml.safe_load((FOLDER / "kubernetes.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job") and job["metadata"]["name"]
    spec = job["spec"]
    known = "completionMode completions parallelism backoffLimitPerIndex podFailurePolicy template"
    assert set(spec) == set(known.split()) and spec["completionMode"] == "Indexed"
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # asked for by podFailurePolicy
    (container,) = pod["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert all(isinstance(value, str) for value in variables.values())
    assert variables["JOB_COMPLETIONS"] == str(spec["completions"])
    assert part_of(None, {**variables, "JOB_COMPLETION_INDEX": "63"}).index == 63
    options = parse([*container["command"], *container["args"]])
    assert options["workers"] == int(container["resources"]["requests"]["cpu"])
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    rules = spec["podFailurePolicy"]["rules"]
    assert {rule["action"] for rule in rules} == {"FailJob", "FailIndex", "Ignore"}
    assert [rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule] == [[2], [1]]
