#!/bin/sh
# Install the service for PostgreSQL, too, into a virtual environment without what it never runs:
#   sh deploy/slim.sh FOLDER [SOURCE]
# The Dockerfile does this; by itself it shows how large that is. Needs python3 and strip (binutils).
set -eu
folder=$1
source=${2:-$(dirname "$0")/..}
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-cache-dir --no-compile "$source[serve,postgresql]"
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$packages"/pip "$packages"/pip-* "$packages"/setuptools "$packages"/setuptools-* "$packages"/pkg_resources
find "$packages" -type d -name tests -prune -exec rm -rf {} +
rm -rf "$packages"/onnxruntime/transformers "$packages"/onnxruntime/tools "$packages"/onnxruntime/quantization
rm -f "$packages"/onnxruntime/capi/libonnxruntime.so.* # for other languages; Python's module holds it all once more
# Not those that auditwheel has patched: stripped, they no longer load.
for package in uvloop pycld2 sqlalchemy tokenizers; do
    find "$packages/$package" -name '*.so' -exec strip --strip-unneeded {} +
done
# Byte code of what a start imports, and of nothing else; a read-only image could never keep it later.
PYTHONDONTWRITEBYTECODE='' "$folder/bin/python" -c 'import giantkiller.desk.app, giantkiller.serve.server, psycopg'
PYTHONDONTWRITEBYTECODE='' "$folder/bin/giantkiller" serve --check --state /nonexistent > /dev/null
echo "$folder: $(du -sm "$folder" | cut -f1) MB"
