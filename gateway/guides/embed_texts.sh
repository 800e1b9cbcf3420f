#!/bin/sh
# Writes a C++ source that holds text files: a function TEXT for each NAME.md, as a raw string literal.
set -eu
echo '#include "gateway/guides/guide_texts.h"'
echo 'namespace contree::gateway::guide_texts {'
for file in "$@"; do
  name=$(basename "$file" .md)
  printf 'const absl::string_view %s = R"contree_text(' "$name"
  cat "$file"
  printf ')contree_text";\n'
done
echo '}'
