#!/usr/bin/env bash
# Protects a made-up set of pairs, trains the same small model on the clean and on the protected files, and
# shows what it learned from each, also when an attacker removes the planted words and levels the texture.
# Everything happens in demo/, which is made anew; about 5 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf demo

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run python samples/make_samples.py demo/train --pairs 4000 --seed 0 --size 32
run python samples/make_samples.py demo/test --pairs 500 --seed 1 --size 32
run protect shards demo/train demo/protected --seed 20261127
run protect inspect demo/protected
run protect verify demo/train demo/protected --test demo/test --attackers tiny-vit --size 32 --epochs 8 \
    --countermeasures whiten-and-deduplicate --mix 1 --out demo/report
printf '\nreport: demo/report/report.html, before and after: demo/protected/_protect/private/contact-sheet.png\n'
