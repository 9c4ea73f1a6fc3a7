#!/usr/bin/env bash
# Installs what the browser tests need: Debian's Chromium with its driver, and selenium in a virtual
# environment in .deps/browser. What is there already is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || {
      echo "setup: run this, then try again: sudo apt-get install -y ${missing[*]}" >&2
      exit 1
    }
    sudo=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "${missing[@]}" >/dev/null
fi

# The marker holds the pinned version.
selenium=selenium==4.51.0
[ "$(cat .deps/browser/.installed 2>/dev/null)" = "$selenium" ] && exit 0
rm -rf .deps/browser
python3 -m venv .deps/browser
.deps/browser/bin/pip install --quiet --disable-pip-version-check "$selenium"
echo "$selenium" >.deps/browser/.installed
