#!/usr/bin/env bash
# Installs what the build and the run need: two codec packages and SQLite, and the OpenVINO runtime
# into .deps/openvino; and ffmpeg, which only reading and writing video (and its tests) run: the build
# does without. What is there already is left alone; a second run takes under a second.
#
#   setup.sh                        all of that
#   setup.sh --onnxruntime          only ONNX Runtime, into .deps/onnxruntime; needs no root
#   setup.sh --onnxruntime --cuda   the same for NVIDIA's GPUs (Linux x86-64)
#   setup.sh --nats                 only the NATS server and its client library, for fleets
set -euo pipefail
cd "$(dirname "$0")/.."

wanted="$*"
case "$wanted" in
  "" | "--onnxruntime" | "--nats") ;;
  "--onnxruntime --cuda" | "--cuda --onnxruntime") wanted="--onnxruntime --cuda" ;;
  *)
    echo "setup: '$wanted' is unknown; expected nothing, --nats, --onnxruntime, or --onnxruntime --cuda" >&2
    exit 1
    ;;
esac

fail() {
  echo "setup: $1" >&2
  exit 1
}

has_ffmpeg() {
  [ -n "${STREAMFLOW_FFMPEG:-}" ] || { command -v ffmpeg && command -v ffprobe; } >/dev/null
}

install_packages_linux() {
  local missing=()
  pkg-config --exists libpng 2>/dev/null || missing+=(libpng-dev)
  pkg-config --exists libturbojpeg 2>/dev/null || missing+=(libturbojpeg0-dev)
  pkg-config --exists sqlite3 2>/dev/null || missing+=(libsqlite3-dev)
  command -v pkg-config >/dev/null || missing+=(pkg-config)
  command -v python3 >/dev/null || missing+=(python3)
  python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
  has_ffmpeg || missing+=(ffmpeg)
  [ ${#missing[@]} -eq 0 ] && return
  echo "setup: installing ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then
      sudo=(sudo)
    elif [ "${missing[*]}" = ffmpeg ]; then
      echo "setup: for video, run: sudo apt-get install -y ffmpeg" >&2
      return
    else
      fail "needs packages, and neither root nor sudo is at hand. Run this, then try again:
  sudo apt-get install -y ${missing[*]}"
    fi
  fi
  command -v apt-get >/dev/null || fail "install ${missing[*]} (Debian's names) and try again"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "${missing[@]}" >/dev/null
}

install_packages_macos() {
  local missing=()
  command -v brew >/dev/null || fail "needs Homebrew (https://brew.sh) for libpng, jpeg-turbo and ffmpeg"
  for name in pkgconf libpng jpeg-turbo; do
    brew list --versions "$name" >/dev/null || missing+=("$name")
  done
  has_ffmpeg || missing+=(ffmpeg)
  [ ${#missing[@]} -eq 0 ] || brew install "${missing[@]}"
}

# Unpacks a wheel's files into .deps: fetch NAME REQUIREMENTS PLATFORM PREFIX...
#
# The marker holds the pinned version and hashes, so that a change of either unpacks again.
fetch() {
  local name=$1 requirements=$2 platform=$3
  shift 3
  if cmp -s ".deps/$name/.unpacked" "$requirements"; then return; fi
  python3 -m pip --version >/dev/null 2>&1 || fail "needs python3 with pip to fetch $name"
  echo "setup: fetching $name"
  mkdir -p .deps
  # mktemp writes characters of its own in place of the X's. Beside its goal, which the last step is
  # one rename to; whatever happens before leaves nothing.
  work=$(mktemp -d .deps/unpacking.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  # The wheel is named whole, so that whichever Python is here gives the same files.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.11 --implementation cp --abi cp311 --platform "$platform" \
    --require-hashes --requirement "$requirements" --dest "$work"
  python3 - "$work" "$@" <<'PYTHON'
import pathlib, sys, zipfile

work, prefixes = pathlib.Path(sys.argv[1]), tuple(sys.argv[2:])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    wanted = [name for name in archive.namelist()
              if name.startswith(prefixes) or "/licenses/" in name]
    archive.extractall(work, wanted)
PYTHON
  cp "$requirements" "$work/$name/.unpacked"
  rm -rf ".deps/$name"
  mv "$work/$name" ".deps/$name"
  licenses=("$work"/*.dist-info/licenses)
  if [ -d "${licenses[0]}" ]; then mv "${licenses[0]}" ".deps/$name/licenses"; fi
  echo "setup: $name is in .deps/$name"
}

# The server and the client library of NATS, of which the program needs the library alone.
install_nats() {
  local missing=()
  if [ "$(uname -s)" = Darwin ]; then
    command -v brew >/dev/null || fail "needs Homebrew (https://brew.sh) for nats-server and cnats"
    command -v nats-server >/dev/null || missing+=(nats-server)
    brew list --versions cnats >/dev/null || missing+=(cnats)
    [ ${#missing[@]} -eq 0 ] || brew install "${missing[@]}"
    return
  fi
  # Where a user's path does not lead.
  PATH="$PATH:/usr/sbin:/sbin"
  command -v nats-server >/dev/null || missing+=(nats-server)
  [ -n "$(ldconfig -p 2>/dev/null | grep "libnats\.so ")" ] || missing+=(libnats-dev)
  [ ${#missing[@]} -eq 0 ] && return
  echo "setup: installing ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || fail "needs root or sudo. Run this, then try again:
  sudo apt-get install -y ${missing[*]}"
    sudo=(sudo)
  fi
  command -v apt-get >/dev/null || fail "install ${missing[*]} (Debian's names) and try again"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "${missing[@]}" >/dev/null
  # Debian starts a server for everyone, without streams, at all addresses; tests start their own.
  if [[ " ${missing[*]} " == *" nats-server "* ]] && command -v systemctl >/dev/null; then
    "${sudo[@]}" systemctl disable --now nats-server >/dev/null 2>&1 || true
  fi
}

if [ "$wanted" = "--nats" ]; then
  install_nats
  exit 0
fi

system="$(uname -s)-$(uname -m)"
if [ -n "$wanted" ]; then
  requirements=Scripts/onnxruntime.txt
  case "$system" in
    Linux-x86_64) platform=manylinux_2_28_x86_64 ;;
    Linux-aarch64) platform=manylinux_2_28_aarch64 ;;
    Darwin-arm64) platform=macosx_14_0_arm64 ;;
    *) fail "ONNX Runtime has no build for $system" ;;
  esac
  if [ "$wanted" = "--onnxruntime --cuda" ]; then
    [ "$system" = Linux-x86_64 ] || fail "ONNX Runtime has no build with CUDA for $system"
    requirements=Scripts/onnxruntime-gpu.txt
    echo "setup: it needs CUDA 13 and cuDNN 9 in the loader's path, and TensorRT 10 for tensorrt:0"
  fi
  fetch onnxruntime "$requirements" "$platform" onnxruntime/capi/lib onnxruntime/LICENSE \
    onnxruntime/ThirdPartyNotices.txt
  exit 0
fi

case "$system" in
  Linux-*) install_packages_linux ;;
  Darwin-*) install_packages_macos ;;
esac
case "$system" in
  Linux-x86_64) platform=manylinux_2_28_x86_64 ;;
  Linux-aarch64) platform=manylinux_2_35_aarch64 ;;
  Darwin-arm64) platform=macosx_11_0_arm64 ;;
  *)
    fail "OpenVINO has no build for $(uname -s) $(uname -m); the package builds, \
and runs where STREAMFLOW_OPENVINO names a runtime"
    ;;
esac
fetch openvino Scripts/openvino.txt "$platform" openvino/libs/ openvino/include/openvino/c/
