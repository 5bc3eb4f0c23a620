#!/usr/bin/env bash
# Write requirements.lock: every package of every distribution and of the dev group, pinned with hashes.
# Pins already there stay unless a pyproject.toml rules them out or `--upgrade` is given. The file names no host,
# so it serves whichever package index a machine is set up for (uv.lock would write its address down).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

projects=() ours=(--no-emit-package=lerobot_neuraltouch)
for file in policies/*/pyproject.toml envs/*/pyproject.toml robots/*/pyproject.toml; do
    if [ -f "$file" ]; then
        projects+=("$file")
        ours+=("--no-emit-package=$(basename "$(dirname "$file")")")
    fi
done

.venv/bin/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header "${ours[@]}" \
    --group pyproject.toml:dev pyproject.toml "${projects[@]}" --output-file requirements.lock "$@"
if grep -nE '://|^-e|file:|@ ' requirements.lock; then
    echo "lock: error: requirements.lock names an address" >&2
    exit 1
fi
echo "lock: $(grep -c == requirements.lock) packages in requirements.lock" >&2
