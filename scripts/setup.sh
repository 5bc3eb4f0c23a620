#!/usr/bin/env bash
# Set up everything from nothing: Python 3.12, uv, system libraries, .venv with the locked packages, ours on top.
# Does nothing, in a blink, while the lock, the project files and this script are unchanged.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${HOME:=$(echo ~)}"
VENV=.venv
STAMP=$VENV/.neuraltouch-setup
TOOLS=.tools   # holds uv where the machine has none; git-ignored
PROJECTS=(.)
for file in policies/*/pyproject.toml envs/*/pyproject.toml robots/*/pyproject.toml; do
    if [ -f "$file" ]; then PROJECTS+=("$(dirname "$file")"); fi
done

say() { echo "setup: $*" >&2; }
fail() { say "error: $*"; exit 1; }

fingerprint() {  # the path counts: an environment moved elsewhere is broken
    { pwd -P; cat scripts/setup.sh requirements.lock "${PROJECTS[@]/%//pyproject.toml}"; } | sha256sum | cut -d' ' -f1
}

is_python312() { "$1" -I -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' >/dev/null 2>&1; }

find_python() {  # a pyenv shim exists for versions that are switched off, so every candidate is run
    local candidate
    for candidate in \
        "$(type -P python3.12 || true)" "$(type -P python3 || true)" "$(type -P python || true)" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python3.12 "$HOME"/.pyenv/versions/3.12*/bin/python3.12 \
        "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/uv/python}"/cpython-3.12*/bin/python3.12 \
        /usr/bin/python3.12 /usr/local/bin/python3.12 "$HOME"/.local/bin/python3.12 \
        /opt/*/bin/python3.12 /opt/*/*/bin/python3.12 /opt/homebrew/bin/python3.12; do
        if [ -x "$candidate" ] && is_python312 "$candidate"; then echo "$candidate"; return 0; fi
    done
    return 1
}

find_uv() {
    local candidate
    for candidate in "$(type -P uv || true)" "$HOME/.local/bin/uv" "$HOME/.cargo/bin/uv" "$TOOLS/bin/uv"; do
        if [ -x "$candidate" ] && "$candidate" --version >/dev/null 2>&1; then echo "$candidate"; return 0; fi
    done
    return 1
}

install_uv() {  # --target touches no Python installation, so externally managed ones allow it
    local python
    say "installing uv into $TOOLS"
    for python in "$@"; do
        if [ -n "$python" ] && "$python" -m pip install -q --upgrade --target "$TOOLS" uv >&2; then return 0; fi
        if [ -n "$python" ] && "$python" -m venv "$TOOLS" >&2 && "$TOOLS/bin/pip" install -q uv >&2; then return 0; fi
    done 2>/dev/null
    return 1
}

has_library() { case "$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null)" in *"$1 "*) ;; *) return 1 ;; esac; }

has_mesa() { compgen -G '/usr/lib*/*/dri/*_dri.so' >/dev/null || compgen -G '/usr/lib*/dri/*_dri.so' >/dev/null; }

missing_packages() {  # Debian's names
    has_library libusb-1.0.so.0 || echo libusb-1.0-0
    has_library libGL.so.1 || echo libgl1
    has_library libgomp.so.1 || echo libgomp1
    has_library libEGL.so.1 || echo libegl1
    has_mesa || echo libgl1-mesa-dri
    has_library libOSMesa.so.8 || echo libosmesa6
}

apt_install() {  # those of the named packages that this system's release has, if we may
    local package available=()
    if [ "$(id -u)" != 0 ] || ! type -P apt-get >/dev/null; then return 1; fi
    apt-get update -qq >/dev/null 2>&1 || say "apt-get update failed; going on with the lists at hand"
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then available+=("$package"); fi
    done
    if [ ${#available[@]} = 0 ]; then return 1; fi
    say "installing ${available[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${available[@]}" >/dev/null
}

ensure_libraries() {
    local missing
    if [ "$(uname -s)" != Linux ]; then return 0; fi
    missing=$(missing_packages)
    if [ -n "$missing" ] && apt_install $missing; then missing=$(missing_packages); fi
    case " ${missing//$'\n'/ } " in
        *" libusb-1.0-0 "* | *" libgl1 "* | *" libgomp1 "* | *" libegl1 "*)
            fail "Open3D needs system libraries that are missing; run: sudo apt-get install" $missing ;;
        *[a-z]*) say "pictures of the scene may need more; if they fail, run: sudo apt-get install" $missing ;;
    esac
}

pick_gl() {  # how MuJoCo draws without a screen: a GPU or Mesa through EGL, else Mesa in memory
    local scene='import mujoco as m; m.GLContext(8, 8).make_current()' name
    for name in egl osmesa; do
        if MUJOCO_GL=$name "$VENV/bin/python" -c "$scene" >/dev/null 2>&1; then echo $name; return 0; fi
    done
    echo disabled
}

if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(fingerprint)" ] && is_python312 $VENV/bin/python; then exit 0; fi

ensure_libraries
python=$(find_python) || { apt_install python3.12 && python=$(find_python); } || python=""
if ! uv=$(find_uv); then
    install_uv "$python" "$(type -P python3 || true)" \
        || { apt_install python3-pip && install_uv "$(type -P python3)"; } \
        || fail "found no uv and no pip to install it with; install uv and run again"
    uv=$(find_uv) || fail "uv was installed into $TOOLS but does not run"
fi
if ! is_python312 $VENV/bin/python; then
    say "creating $VENV with ${python:-a Python 3.12 that uv downloads}"
    "$uv" venv --quiet --clear --python "${python:-3.12}" $VENV || fail "found no Python 3.12; install python3.12 and run again"
fi
say "installing the locked packages"
rm -f "$STAMP"
"$uv" pip install --quiet --python $VENV/bin/python --require-hashes -r requirements.lock
"$uv" pip install --quiet --python $VENV/bin/python --no-deps "${PROJECTS[@]/#/--editable=}"
pick_gl >$VENV/mujoco_gl
fingerprint >"$STAMP"
say "done ($($VENV/bin/python --version), MUJOCO_GL=$(cat $VENV/mujoco_gl))"
