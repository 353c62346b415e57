#!/usr/bin/env bash
# MEM and one training of the verifier on this machine's GPU, in at most 8 minutes; installs nothing.
#   benchmarks/gpu.sh                          RN50 and ViT-B-32 at 224 px, batch 128
#   benchmarks/gpu.sh --device cpu --small     the same script on a CPU, in a minute or two
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python
exec timeout 480 "$python" benchmarks/gpu.py "$@"
