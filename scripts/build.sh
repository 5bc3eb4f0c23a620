#!/usr/bin/env bash
# Build the sdist of every distribution and, from it alone, its wheel; then run the registration tests on the wheels.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

rm -rf dist
for file in pyproject.toml policies/*/pyproject.toml envs/*/pyproject.toml robots/*/pyproject.toml; do
    if [ -f "$file" ]; then .venv/bin/uv build --quiet --out-dir dist "$(dirname "$file")"; fi
done

# A fresh environment that borrows the third-party packages. Python reads no .pth file of a borrowed folder, so our
# editable installations stay out and only the wheels are found.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
.venv/bin/uv venv --quiet --python "$root/.venv/bin/python" "$scratch/venv"
.venv/bin/uv pip install --quiet --python "$scratch/venv/bin/python" --no-deps dist/*.whl
echo "$root/.venv/lib/python3.12/site-packages" >"$scratch/venv/lib/python3.12/site-packages/borrowed.pth"

cd "$scratch"
NEURALTOUCH_EXPECT_ROOT="$scratch/venv" "$scratch/venv/bin/python" -P -m pytest -q -p no:cacheprovider \
    -c "$root/pyproject.toml" --rootdir "$root" "$root/tests/plugins/test_registration.py"
ls "$root/dist"
