#!/usr/bin/env bash
# Installs the programs that some tests use, where that is possible, by apt and as root: exiftool, Chromium, and what
# reads the opt-out files for web servers (nginx, Apache, Caddy, PHP), none of which is started.
# Elsewhere it names what is missing; the tests that need it are then skipped.
set -euo pipefail

missing=()
command -v exiftool > /dev/null || missing+=(libimage-exiftool-perl)
export PATH="$PATH:/usr/sbin"
command -v nginx > /dev/null || missing+=(nginx-light)
command -v apache2 > /dev/null || missing+=(apache2-bin)
command -v caddy > /dev/null || missing+=(caddy)
command -v php > /dev/null || missing+=(php-cli)
command -v chromium > /dev/null || command -v google-chrome > /dev/null || missing+=(chromium)
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if command -v apt-get > /dev/null && [ "$(id -u)" -eq 0 ]; then
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null; then
        exit 0
    fi
    echo "could not install ${missing[*]}; some tests are skipped" >&2
else
    echo "not installed: ${missing[*]}; some tests are skipped. On Debian or Ubuntu:" >&2
    echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
fi
