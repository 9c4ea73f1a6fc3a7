#!/usr/bin/env bash
# Prints the bill of materials of a release, as SPDX 2.3 in JSON: the Swift packages as they were resolved, the
# OpenVINO runtime, and the libraries of the system. Needs jq.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v jq >/dev/null || { echo "sbom: needs jq" >&2; exit 1; }
version=$(sed -n 's/^public let streamFlowVersion = "\(.*\)"/\1/p' Sources/StreamFlow/Requests/ImageParameters.swift)
runtime=$(sed -n 's/^openvino==\([0-9.]*\).*/\1/p' Scripts/openvino.txt)
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" +%Y-%m-%dT%H:%M:%SZ)
"${SWIFT:-swift}" package show-dependencies --format json 2>/dev/null |
  jq --arg version "$version" --arg runtime "$runtime" --arg created "$created" \
    --arg commit "$(git rev-parse HEAD)" '
  def id: "SPDXRef-" + (gsub("[^A-Za-z0-9.-]"; "-"));
  def package($name; $version; $place; $licence):
    {name: $name, SPDXID: ($name | id), versionInfo: $version, downloadLocation: $place, filesAnalyzed: false,
     licenseConcluded: "NOASSERTION", licenseDeclared: $licence, copyrightText: "NOASSERTION"};
  [.. | objects | select(has("identity"))] as $all
  | ($all[1:] | unique_by(.identity)) as $swift
  | ([package("openvino"; $runtime; "https://pypi.org/project/openvino/"; "Apache-2.0")]
     + [("libpng", "libjpeg-turbo", "sqlite", "zlib") | package(.; "system"; "NOASSERTION"; "NOASSERTION")]) as $others
  | {spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: "StreamFlow-\($version)",
     documentNamespace: "https://example.org/spdx/StreamFlow-\($version)-\($commit)",
     creationInfo: {created: $created, creators: ["Tool: Scripts/sbom.sh"]},
     packages: ([package("StreamFlow"; $version; "NOASSERTION"; "MIT")]
       + [$swift[] | package(.identity; .version; .url; "NOASSERTION")
          + {externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
             referenceLocator: "pkg:swift/\(.url | sub("^https?://"; "") | sub("\\.git$"; ""))@\(.version)"}]}]
       + $others),
     relationships: ([{spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES",
       relatedSpdxElement: "SPDXRef-StreamFlow"}]
       + [$swift[] | {spdxElementId: "SPDXRef-StreamFlow", relationshipType: "DEPENDS_ON",
          relatedSpdxElement: (.identity | id)}]
       + [$others[] | {spdxElementId: "SPDXRef-StreamFlow", relationshipType: "DEPENDS_ON",
          relatedSpdxElement: .SPDXID}])}'
