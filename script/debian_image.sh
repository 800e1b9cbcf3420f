#!/usr/bin/env bash
# Makes a Debian file system for benchmarks, as a tar archive: debian_image.sh FILE. Prints on its last line what it is.
# mmdebstrap makes a real minimal Debian where Debian's archive can be reached; else the archive holds what this machine has of
# the packages that every Debian has. A FILE that is there is left as it is.
set -euo pipefail
file=$1
mkdir -p "$(dirname "$file")"
if [ ! -f "$file" ]; then
  log=$(mktemp)
  trap 'rm -f "$log" "$file.new"' EXIT
  # What apt on this machine takes its packages from.
  sources=(/etc/apt/sources.list /etc/apt/sources.list.d/debian.list /etc/apt/sources.list.d/debian.sources)
  for index in "${!sources[@]}"; do
    [ -s "${sources[index]}" ] || unset "sources[index]"
  done
  if command -v mmdebstrap >/dev/null &&
    timeout 300 mmdebstrap --variant=minbase --format=tar bookworm "$file.new" "${sources[@]}" </dev/null 2>"$log"; then
    echo "Debian minbase by mmdebstrap" >"$file.kind"
  else
    echo "Debian files of this machine (mmdebstrap could not fetch its own)" >"$file.kind"
    # Names through /bin, /lib and so on are links into /usr.
    {
      printf '%s\n' bin sbin lib lib64 usr/bin/sh usr/bin/awk etc/passwd etc/group etc/ld.so.cache root tmp proc dev var/tmp
      dpkg-query --show --showformat='${Essential} ${Priority} ${Package}\n' |
        awk '$1 == "yes" || $2 == "required" || $2 == "important" { print $3 }' |
        xargs dpkg-query --listfiles | sed -nE 's,^/(bin|sbin|lib|lib64)/,usr/\1/,; s,^/,,; p' | grep -Ev '^(\.|bin|sbin|lib|lib64)?$'
    } | awk '!seen[$0]++' | while IFS= read -r name; do
      if [ -e "/$name" ] || [ -L "/$name" ]; then printf '%s\n' "$name"; fi
    done | tar --create --file "$file.new" --directory / --no-recursion --ignore-failed-read --files-from - 2>"$log"
  fi
  mv "$file.new" "$file"
fi
echo "$(cat "$file.kind"), $(tar --list --file "$file" | wc -l) entries, $(($(stat -c %s "$file") / 1000000)) MB"
