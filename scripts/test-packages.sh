#!/bin/sh
# Install the Debian packages that some tests use: recordings of speech, speech synthesisers, fonts.
# Quiet where that cannot be done; the tests that miss one skip and say which.

command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || exit 0

root=$(dirname "$0")/..
wanted="pocketsphinx-testdata espeak-ng flite"
list="$root/model_adapters/demo/debian-packages.txt"
[ -f "$list" ] && wanted="$wanted $(sed 's/#.*//' "$list")"

missing=""
for package in $wanted; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "test: installing$missing"
quick="-qq -o Acquire::Retries=0 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15"
# shellcheck disable=SC2086 # options and package names are words
if ! apt-get update $quick -o APT::Update::Error-Mode=any >/dev/null 2>&1; then
    echo "test: no package lists to be had, going on without"
    exit 0
fi
for package in $missing; do
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y $quick --no-install-recommends "$package" \
        >/dev/null 2>&1 || echo "test: no $package here, going on without it"
done
exit 0
