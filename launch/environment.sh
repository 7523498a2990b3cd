# Sourced by launch/demo and launch/test: makes the virtual environment once, and again whenever
# setup.py or the wanted extras change. Set VENV to put it elsewhere, PYTHON to choose the Python.

VENV="${VENV:-.venv}"

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "$candidate"
      return
    fi
  done
  echo 'error: no Python 3.11 or newer found; set PYTHON=/path/to/python3' >&2
  return 1
}

# make_environment EXTRAS: installs the project and these extras, plus CUDA where a GPU is.
make_environment() {
  local extras="$1" python stamp
  if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
    extras="$extras,cuda"
  fi
  stamp="$extras $(cksum <setup.py)"
  if [ "$(cat "$VENV/.installed" 2>/dev/null)" = "$stamp" ]; then
    return
  fi
  python="$(find_python)"
  echo "Installing vision_jax[$extras] into $VENV with $("$python" --version) ..."
  "$python" -m venv "$VENV"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extras]"
  echo "$stamp" >"$VENV/.installed"
}

export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/vision_jax/xla}"
