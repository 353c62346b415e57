#!/usr/bin/env bash
# Protects a made-up set of pairs, trains the same small model on the clean and on the protected files, and
# shows what it learned from each. Everything happens in demo/, which is made anew; minutes on 2 cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf demo

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run python samples/make_samples.py demo/train --pairs 4000 --seed 0
run python samples/make_samples.py demo/test --pairs 500 --seed 1
run protect shards demo/train demo/protected --seed 20261127
run protect inspect demo/protected
run protect verify demo/train demo/protected --test demo/test --attackers tiny-resnet --epochs 10 \
    --countermeasures none --mix 1 --out demo/report
printf '\nreport: demo/report/report.html, before and after: demo/protected/_protect/private/contact-sheet.png\n'
