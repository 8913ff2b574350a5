# Debian trixie's docker, newer than the machine's: its client, buildx and compose, unpacked beside what is installed. Sourced by topics.
# Apt's lists for it are made of the machine's own, which stay as they are.

# All topics share what one of them has fetched.
TRIXIE=${KILN_TRIXIE:-$SCRATCH/trixie}
PLUGINS=$TRIXIE/root/usr/libexec/docker/cli-plugins

# trixie PACKAGE...: unpacks packages below $TRIXIE/root; skips the check where there are none to be had.
trixie() {
  local package missing=()
  for package in "$@"; do [ -e "$TRIXIE/$package" ] || missing+=("$package"); done
  [ ${#missing[@]} = 0 ] || fetched "${missing[@]}" >"$SCRATCH/apt.log" 2>&1 || unavailable "no packages of trixie: ${missing[*]}"
}

fetched() {
  need apt-get dpkg
  local apt=$TRIXIE/apt file package
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    [ ! -f "$file" ] || sed 's/bookworm/trixie/g' "$file" >"$apt/parts/$(basename "$file")"
  done
  local options=(-o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/parts")
  [ -e "$apt/listed" ] || apt-get "${options[@]}" update || return 1
  touch "$apt/listed"
  for package in "$@"; do
    (cd "$apt" && apt-get "${options[@]}" download "$package") || return 1
    dpkg -x "$apt/$package"_*.deb "$TRIXIE/root" || return 1
    touch "$TRIXIE/$package"
  done
}
