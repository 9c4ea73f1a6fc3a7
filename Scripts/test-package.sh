#!/usr/bin/env bash
# Tries the packages of Scripts/package.sh on a Debian that has nothing else: Scripts/test-package.sh [FOLDER]
#
# Makes a minimal Debian 12 with debootstrap, unpacks the archive in it and runs the command's main jobs; then the same
# with the Debian package, which apt installs. Needs root (chroot), debootstrap and curl. Ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
packages=$(realpath "${1:-.build/packages}")
archive=$(ls "$packages"/streamflow-*-linux-*.tar.gz)
debian=$(ls "$packages"/streamflow_*.deb)
[ "$(id -u)" -eq 0 ] || { echo "test-package: needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap >/dev/null || exit 1

work=$(mktemp -d)
root=$work/root
passed=0 failed=0
finish() {
  umount -R -l "$root/dev" 2>/dev/null
  umount -l "$root/proc" 2>/dev/null
  if grep -q " $root/" /proc/self/mounts; then
    echo "test-package: $root is still mounted; it was not removed" >&2
    return
  fi
  rm -rf --one-file-system "$work"
}
trap finish EXIT
mirror=$(sed -n 's/^URIs: *//p; s/^deb \([^ ]*\) .*/\1/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1)
debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1 ||
  { tail -5 "$work/debootstrap.log" >&2; exit 1; }
cannot_mount() { echo "test-package: cannot mount; it needs a privileged root" >&2; exit 1; }
mount -t proc proc "$root/proc" || cannot_mount
mount --rbind /dev "$root/dev" || cannot_mount
mount --make-rslave "$root/dev" || cannot_mount
cp docs/clip.mp4 docs/photo.jpg "$root/root/"

# The single quotes are for the shell inside.
# shellcheck disable=SC2016
inside() { chroot "$root" /usr/bin/env -i HOME=/root PATH="$path" LANG=C.UTF-8 bash -c "cd /root || exit
$1"; }
check() {
  if inside "$2" >"$work/log" 2>&1; then
    passed=$((passed + 1))
    echo "passed: $1"
  else
    failed=$((failed + 1))
    echo "FAILED: $1"
    sed 's/^/    /' "$work/log"
  fi
}
jobs() {
  check "$1: version" 'streamflow --version'
  check "$1: no library is missing" '! ldd "$(readlink -f "$(command -v streamflow)")" | grep "not found"'
  check "$1: generate" 'streamflow generate "a fox on a blue background" --seed 7 -o fox.png --overwrite && test -s fox.png'
  check "$1: the settings in an image" 'streamflow inspect fox.png | grep -q "a fox on a blue background"'
  check "$1: edit" 'streamflow edit photo.jpg "an octopus" -o octopus.png --overwrite && test -s octopus.png'
  check "$1: devices" 'streamflow devices'
  check "$1: a model that is absent is an error" 'streamflow generate "a fox" --model nowhere; test $? = 66'
  check "$1: serve" 'streamflow serve --port 18199 >serve.log 2>&1 & server=$!
    for attempt in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/18199) 2>/dev/null && break; sleep 0.2; done
    exec 3<>/dev/tcp/127.0.0.1/18199
    body="{\"prompt\":\"a fox\"}"
    printf "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" ${#body} "$body" >&3
    grep -q b64_json <&3; status=$?; kill -TERM $server; wait $server; exit $status'
}

tar -C "$root/opt" -xzf "$archive"
folder=/opt/$(basename "$archive" .tar.gz)
path=$folder/bin:/usr/sbin:/usr/bin:/sbin:/bin
jobs archive
check "archive: moved elsewhere" "mv $folder /opt/elsewhere && /opt/elsewhere/bin/streamflow generate 'a fox' -o moved.png --overwrite"

path=/usr/sbin:/usr/bin:/sbin:/bin
cp "$debian" "$root/root/"
cp /etc/resolv.conf "$root/etc/" 2>/dev/null
cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" 2>/dev/null
check "package: install" "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq ./$(basename "$debian") ffmpeg"
jobs package
check "package: video" 'streamflow video clip.mp4 "a fox" --output fox.mp4 --overwrite && test -s fox.mp4'
check "package: remove" "apt-get remove -y -qq streamflow && ! command -v streamflow && test ! -e /usr/lib/streamflow"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
