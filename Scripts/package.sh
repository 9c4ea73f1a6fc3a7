#!/usr/bin/env bash
# Builds an archive of the command that runs where nothing is installed, and a Debian package of the same files:
# Scripts/package.sh [OUTPUT], by default .build/packages.
#
# Both hold the program, its resources, the Swift libraries and the OpenVINO runtime; the archive also holds the system's
# libraries that these need (codecs, SQLite, curl and theirs), on which the Debian package depends. Needs patchelf and
# binutils.
set -euo pipefail
cd "$(dirname "$0")/.."

output=$(realpath -m "${1:-.build/packages}")
swift=${SWIFT:-swift}
version=$(sed -n 's/^public let streamFlowVersion = "\(.*\)"/\1/p' Sources/StreamFlow/Requests/ImageParameters.swift)
[ "$(uname -s)" = Linux ] || { echo "package: Linux only; on macOS use Packaging/homebrew" >&2; exit 1; }
case "$(uname -m)" in
  x86_64) machine=x86_64 debian=amd64 ;;
  aarch64) machine=aarch64 debian=arm64 ;;
  *) echo "package: no OpenVINO runtime is published for $(uname -m)" >&2; exit 1 ;;
esac

"$swift" build -c release --product streamflow
built=$("$swift" build -c release --show-bin-path)
command -v patchelf >/dev/null || { echo "package: needs patchelf" >&2; exit 1; }

name=streamflow-$version-linux-$machine
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/$name
lib=$tree/lib/streamflow
mkdir -p "$tree/bin" "$lib/openvino/libs" "$tree/share/doc/streamflow"

install -m 755 "$built/streamflow" "$lib/streamflow"
strip "$lib/streamflow"
# The libraries of the archive are found beside the program, those that they need in turn too.
patchelf --force-rpath --set-rpath '$ORIGIN' "$lib/streamflow"
cp -R "$built"/StreamFlow_FlowModels.resources "$lib/"
ln -s ../lib/streamflow/streamflow "$tree/bin/streamflow"

# Front ends that StreamFlow never loads stay out; they are a third of the runtime.
for file in .deps/openvino/libs/*; do
  case "$(basename "$file")" in
    *_jax_* | *_paddle_* | *_pytorch_* | *_tensorflow_* | *_gguf_* | *.pc) ;;
    *) cp -P "$file" "$lib/openvino/libs/" ;;
  esac
done
cp -R .deps/openvino/licenses "$lib/openvino/"

for shell in bash:bash-completion/completions/streamflow zsh:zsh/site-functions/_streamflow \
  fish:fish/vendor_completions.d/streamflow.fish; do
  file=$tree/share/${shell#*:}
  mkdir -p "$(dirname "$file")"
  "$built/streamflow" --generate-completion-script "${shell%%:*}" >"$file"
done
cp README.md CHANGELOG.md "$tree/share/doc/streamflow/"
cp LICENSE "$tree/share/doc/streamflow/copyright"
find "$tree" -type d -exec chmod 755 {} +

# The libraries of the Swift toolchain go into both, those of the system into the archive only.
packages=()
libraries=()
while read -r file; do
  case "$(basename "$file")" in
    libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | libresolv.so* | libutil.so* | ld-linux*) continue ;;
  esac
  # Debian's database names some files by the old places of merged folders.
  owner=$({ dpkg -S "$(realpath "$file")" || dpkg -S "$file" || dpkg -S "${file#/usr}"; } 2>/dev/null | head -1 | cut -d: -f1) || true
  if [ -z "$owner" ]; then
    cp -L "$file" "$lib/"
    continue
  fi
  packages+=("$owner")
  libraries+=("$file")
done < <(ldd "$built/streamflow" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }')
for file in "$lib"/*.so*; do patchelf --force-rpath --set-rpath '$ORIGIN' "$file"; done

# The Debian package. Hashes need libcrypto, which is loaded at run time.
mkdir -p "$output" "$work/deb/usr" "$work/deb/DEBIAN"
cp -R "$tree/." "$work/deb/usr/"
gzip -9n "$work/deb/usr/share/doc/streamflow/CHANGELOG.md"
glibc=$(objdump -T "$lib/streamflow" "$lib"/*.so* "$lib"/openvino/libs/*.so* | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
direct=$(objdump -p "$lib/streamflow" "$lib"/*.so* "$lib"/openvino/libs/*.so* | awk '$1 == "NEEDED" { print $2 }' | sort -u)
depends="libc6 (>= ${glibc#GLIBC_})"
for index in "${!libraries[@]}"; do
  # What the system's libraries need in turn is their packages' concern.
  if grep -qxF "$(basename "${libraries[index]}")" <<<"$direct" && [[ ", $depends," != *", ${packages[index]},"* ]]; then
    depends+=", ${packages[index]}"
  fi
done
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$debian/" -e "s/@DEPENDS@/$depends/" \
  -e "s/@SIZE@/$(du -sk "$work/deb/usr" | cut -f1)/" Packaging/debian/control >"$work/deb/DEBIAN/control"
(cd "$work/deb" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group --build "$work/deb" "$output/streamflow_${version}_$debian.deb" >/dev/null

# The archive: the system's libraries with Debian's statements of their licences, and libcrypto.
crypto=$(ldconfig -p | awk '$1 == "libcrypto.so.3" { print $NF; exit }')
[ -n "$crypto" ] || { echo "package: needs libssl3, whose libcrypto the archive carries" >&2; exit 1; }
for file in "${libraries[@]}" "$crypto"; do
  cp -L "$file" "$lib/"
  patchelf --force-rpath --set-rpath '$ORIGIN' "$lib/$(basename "$file")"
done
for owner in "${packages[@]}" libssl3; do
  cp "/usr/share/doc/$owner/copyright" "$tree/share/doc/streamflow/copyright.$owner"
done
date=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$date" \
  -C "$work" -cf - "$name" | gzip -9n >"$output/$name.tar.gz"
(cd "$output" && sha256sum "$name.tar.gz" "streamflow_${version}_$debian.deb" >"SHA256SUMS-linux-$machine")
echo "package: in $output"
