#!/bin/sh
# embed_texts.sh header|source NAMESPACE FILE...: a C++ header or source that holds text files. NAME.ext becomes the constant
# NAME_ext, an absl::string_view.
set -eu
part=$1 namespace=$2
shift 2
cat <<'TEXT'
// Made when this is built, from the files named below.
#include "absl/strings/string_view.h"
TEXT
printf 'namespace %s {\n' "$namespace"
for file in "$@"; do
  name=$(basename "$file" | tr -c 'a-zA-Z0-9\n' '_')
  if [ "$part" = header ]; then
    printf 'extern const absl::string_view %s;\n' "$name"
  else
    # extern: a constant is otherwise the file's own.
    printf 'extern const absl::string_view %s;\nconst absl::string_view %s = R"contree_text(' "$name" "$name"
    cat "$file"
    printf ')contree_text";\n'
  fi
done
printf '}  // namespace %s\n' "$namespace"
