#!/bin/sh
# Fails if retired wording returns to comments, strings, help, the web UI, openapi.json or Markdown.
# The terms to use instead are in ARCHITECTURE.md.
set -eu
cd "$(dirname "$0")/.."
# git refuses a checkout of another owner; what follows would then find nothing.
git rev-parse --git-dir >/dev/null

# Phrases, anywhere in a line; none of them occurs in code.
phrases="ways? through time|lets? go of|letting go of|shows? not|as they are there|unless (said|told)
what (is|was) told|is told|are told|was told|(nothing|none|what) is said|is said of|goes on|going on
(is|are|was) given up|gives? (it|them) up|gives? it back|whoever|who asks|who waits|who has
by chance|(in|by) turns|(be|was|is|are|makes?|made|begins?|begin) anew|so many|com(e|es|ing) out
under way|side by side|felt most|of like length|(un)?prompted sides?|(and|or|of) (its|their) kind
(that|which|and what) (is|are) none|(is|are) no numbers?|(is|are|was) written down|writes? down
(is|are) mended|mends? it|befalls?|befell|way (up|down)|pictures? (a|per) second|times the first"

# Words in comments and Markdown.
words="pictures?"

# Lines that may contain them: a word of the starter's vocabulary.
allowed='picture of a'

set -f
code="*.swift *.py *.sh *.js *.html *.css Makefile"
others=":!CHANGELOG.md :!*.pb.swift :!Scripts/lint-words.sh"
search() { # pattern, paths
  # shellcheck disable=SC2086
  git grep -nIiE "$1" -- $2 $others | grep -vE "$allowed" || true
}
found=$(
  search "(^|[^[:alnum:]_-])($(printf %s "$phrases" | tr '\n' '|'))([^[:alnum:]_-]|$)" \
    "$code *.md *openapi.json"
  search "(//|# |/\*).*[^[:alnum:]_./\"-]($words)([^[:alnum:]_./\":-]|\.?$)" "$code"
  search "(^|[^[:alnum:]_./\"\`-])($words)([^[:alnum:]_./\"\`-]|\.?$)" "*.md"
)
if [ -n "$found" ]; then
  printf '%s\n' "$found" >&2
  echo "error: retired wording; see ARCHITECTURE.md for the terms to use" >&2
  exit 1
fi
