#!/bin/sh
# Puts uPlot, which draws the strip chart, into assets/. Run it after a change of
# the version; the checksum is that of the archive as npm publishes it.
set -eu
version=1.6.32
sum=4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d

cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "uplot@$version" >archive)
archive="$work/$(cat "$work/archive")"
echo "$sum  $archive" | sha256sum --check --quiet
tar -xzf "$archive" -C "$work"
# The published module is not minified and the minified file is no module.
{ cat "$work/package/dist/uPlot.iife.min.js"; echo 'export default uPlot;'; } >assets/uplot.js
cp "$work/package/dist/uPlot.min.css" assets/uplot.css
cp "$work/package/LICENSE" assets/uplot.LICENSE.txt
