# What the interop topics share: results, a scratch folder, the users, the tools. Sourced by each of them, never run.
#
# A topic is a list of `check NAME FUNCTION [ARGUMENT...]` lines and ends with `summary`. A function runs in a subshell under
# `set -e`; it fails the check by failing, and skips it by calling `need` or `unavailable`. Checks share files in $SCRATCH only.
# Environment: KILN (the binary), DOCKER_HOST (tests/interop/with-dockerd sets it), TMPDIR.
set -uo pipefail

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
FIXTURES=$REPO/fixtures
TOPIC=$(basename "$0")
SKIPPED=77 # the exit code of a skipped check, as in automake
RANGE_USER=kiln-test-range
DEADLINE=900 # seconds; detects a hang, measures nothing
passed=0 failed=0 skipped=0

SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/kiln-interop.XXXXXX")
chmod 755 "$SCRATCH"
trap remove_scratch EXIT

# podman leaves a bind mount of its own storage behind.
remove_scratch() {
  awk -v root="$SCRATCH/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
  rm -rf "$SCRATCH"
}

# check NAME FUNCTION [ARGUMENT...]
check() {
  local name=$TOPIC/$1 log=$SCRATCH/log status
  shift
  (set -euo pipefail; "$@") >"$log" 2>&1 </dev/null
  status=$?
  case $status in
    0) echo "ok $name"; passed=$((passed + 1)) ;;
    "$SKIPPED") echo "skip $name: $(tail -n 1 "$log")"; skipped=$((skipped + 1)) ;;
    *)
      echo "not ok $name: exit code $status, after:"
      tail -n 70 "$log" | sed 's/^/    /'
      failed=$((failed + 1))
      ;;
  esac
}

# The closing line; fails when a check failed.
summary() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ]
}

# unavailable WHY: this check cannot run here.
unavailable() { echo "$*"; exit "$SKIPPED"; }

# need PROGRAM...: skips the check when one is missing.
need() {
  local program
  for program in "$@"; do command -v "$program" >/dev/null || unavailable "no $program"; done
}
need_root() { [ "$(id -u)" = 0 ] || unavailable "not root"; }
need_docker() { [ -n "${DOCKER_HOST:-}" ] && docker version >/dev/null 2>&1 || unavailable "no docker daemon"; }

# expect WANTED COMMAND...: the command must print exactly that.
expect() {
  local wanted=$1 got
  shift
  got=$("$@")
  [ "$got" = "$wanted" ] || { printf 'wanted: %s\ngot: %s\n' "$wanted" "$got"; return 1; }
}

# same FILE FILE: both must have the same text.
same() { diff -u "$1" "$2" | head -n 60; }

# --- kiln and its users ---

# A copy that every user may execute; a checkout may stand where only its owner may look.
KILN=${KILN:-$REPO/target/$(rustc -vV | sed -n 's/^host: //p')/release/kiln}
[ -x "$KILN" ] || { echo "there is no $KILN: cargo build --release -p kiln" >&2; exit 1; }
install -m 755 "$KILN" "$SCRATCH/kiln"

# A system user with a range of ids in /etc/subuid and /etc/subgid.
ensure_range_user() {
  need_root
  need useradd newuidmap setpriv
  id "$RANGE_USER" >/dev/null 2>&1 || useradd --system --create-home --home-dir "/var/lib/$RANGE_USER" "$RANGE_USER"
  grep -q "^$RANGE_USER:" /etc/subuid || echo "$RANGE_USER:1000000000:65536" >>/etc/subuid
  grep -q "^$RANGE_USER:" /etc/subgid || echo "$RANGE_USER:1000000000:65536" >>/etc/subgid
}

# As root of a container with docker's default profile: its capabilities and ids, no namespace that could be made, no mount.
contained() { # contained COMMAND...
  local holder inner status=0
  need_root
  need unshare nsenter setpriv pgrep
  # a reader of the command's output would wait for this one too
  unshare --user --pid --fork --kill-child --mount-proc sleep infinity >/dev/null 2>&1 &
  holder=$!
  until inner=$(pgrep -x -P "$holder" sleep); do
    kill -0 "$holder" || return 1 # it could not be made
    sleep 0.05
  done
  echo 0 0 65536 >"/proc/$inner/uid_map"
  echo 0 0 65536 >"/proc/$inner/gid_map"
  nsenter -t "$inner" -U -p -m -S 0 -G 0 sh -euc '
    cd "$1" # which nsenter leaves
    shift
    echo 0 >/proc/sys/user/max_user_namespaces
    capabilities=+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap
    exec setpriv --bounding-set="-all,$capabilities" --inh-caps=-all "$@"' sh "$PWD" "$@" || status=$?
  kill -KILL "$inner" # unshare ignores what could end it
  return "$status"
}

# Who builds real projects: root; at night also an ordinary user, and root where every RUN is supervised. KILN_USERS names others.
USERS=(self)
[ "${KILN_NIGHTLY:-}" != 1 ] || USERS+=(range contained)
[ -z "${KILN_USERS:-}" ] || read -ra USERS <<<"$KILN_USERS"

# kiln_as USER ARGUMENT...: kiln with that user's own store; USER is `self`, `range` or `contained`.
kiln_as() {
  local user=$1 home=$SCRATCH/home-$1 within=()
  shift
  [ "$user" != contained ] || within=(contained)
  if [ "$user" != range ]; then
    mkdir -p "$home"
    KILN_STORE=$home/store "${within[@]}" timeout "$DEADLINE" "$SCRATCH/kiln" "$@"
    return
  fi
  ensure_range_user
  [ -d "$home" ] || install -d -m 755 -o "$RANGE_USER" "$home"
  (
    cd "$home" # the caller's folder may be closed to this user
    exec setpriv --reuid "$RANGE_USER" --regid "$RANGE_USER" --init-groups \
      env HOME="$home" KILN_STORE="$home/store" timeout "$DEADLINE" "$SCRATCH/kiln" "$@"
  )
}
kiln() { kiln_as self "$@"; }

# A copy of fixtures that every user may read.
fixture() { cp -r "$FIXTURES/$1" "$SCRATCH/"; chmod -R a+rX "$SCRATCH/$(basename "$1")"; echo "$SCRATCH/$(basename "$1")"; }

# --- other tools ---

# Debian's docker is asked first: a newer client without its buildx plugin cannot ask this daemon for BuildKit.
docker() {
  local client=/usr/bin/docker
  [ -x "$client" ] || client=$(type -P docker)
  "$client" "$@"
}
docker_build() { DOCKER_BUILDKIT=1 docker build --quiet --network none "$@"; }
docker_run() { docker run --pull never --rm --network none "$@"; }

podman() { command podman --root "$SCRATCH/podman" --runroot "$SCRATCH/podman-run" --cgroup-manager cgroupfs "$@"; }
# The limits that podman asks for by default may be above this machine's own.
podman_run() { podman run --pull never --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 "$@"; }

# The host's way to the network, as arguments of `kiln build`: proxies, package index, certificates. Fixtures name none of them.
network_arguments() {
  local name bundle
  for name in http_proxy https_proxy no_proxy PIP_INDEX_URL NPM_CONFIG_REGISTRY; do
    [ -z "${!name:-}" ] || printf '%s\n' --build-arg "$name=${!name}"
  done
  for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt; do
    if [ -r "$bundle" ]; then printf '%s\n' --secret "id=ca,src=$bundle"; break; fi
  done
}

# A root file system with nothing but busybox, as a tar: the base of what needs no Debian.
busybox_rootfs() {
  need busybox
  local root=$SCRATCH/busybox-root applet
  if [ ! -e "$root.tar" ]; then
    mkdir -p "$root"/{bin,dev,etc,proc,root,sys,tmp}
    chmod 1777 "$root/tmp"
    cp "$(type -P busybox)" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
    printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\napp:x:1000:\nextra:x:2000:app\n' >"$root/etc/group"
    tar --numeric-owner --owner=0 --group=0 -C "$root" -cf "$root.tar" .
  fi
  echo "$root.tar"
}
