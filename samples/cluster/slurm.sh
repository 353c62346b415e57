#!/usr/bin/env bash
# One part of the shards for each job of an array: sbatch slurm.sh IN OUT PROTECTOR
# Send it again to go on after failures; what is done is not done twice. `protect status OUT` tells how far it is.
#SBATCH --job-name=protect
#SBATCH --array=0-63
#SBATCH --cpus-per-task=8
#SBATCH --mem=12G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --output=protect-%A_%a.log
set -euo pipefail

in=$1 out=$2 protector=$3
export OMP_NUM_THREADS=1
export TMPDIR=${SLURM_TMPDIR:-${TMPDIR:-/tmp}} # room for three shards a worker

# The part is that of this job in the array. Faults that pass are waited for inside, and a node that vanishes is
# requeued by SLURM. Exit code 1: some samples or shards failed; shards that did are tried once more, alone.
run=(protect shards "$in" "$out" --protector "$protector" --workers "${SLURM_CPUS_PER_TASK:-1}" --json)
status=0
"${run[@]}" || status=$?
if [ "$status" -eq 1 ]; then
    status=0
    "${run[@]}" --retry-failed || status=$?
fi
exit "$status"
