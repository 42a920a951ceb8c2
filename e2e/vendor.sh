#!/bin/sh
# Puts axe-core, which looks for barriers on the page, into axe/. Run it after a
# change of the version; the checksum is that of the archive as npm publishes it.
set -eu
version=4.14.1
sum=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745

cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "axe-core@$version" >archive)
archive="$work/$(cat "$work/archive")"
echo "$sum  $archive" | sha256sum --check --quiet
tar -xzf "$archive" -C "$work"
cp "$work/package/axe.min.js" "$work/package/LICENSE" axe/
