# A Debian root file system for the topics that need one. Sourced after lib.sh.

# The path of the tar; made once, in the turn of the first topic that needs it, by mmdebstrap, with this host's own mirror and proxy, which apt
# in the image then keeps. KILN_DEBIAN_ROOTFS says where it is, or is to be made.
debian_rootfs() {
  local tar=${KILN_DEBIAN_ROOTFS:-$SCRATCH/debian.tar}
  (flock 9; make_rootfs "$tar") 9>"$tar.turn" || return
  echo "$tar"
}

make_rootfs() { # make_rootfs TAR
  local tar=$1 proxy sources
  if [ ! -e "$tar" ]; then
    need mmdebstrap >&2
    need_root >&2
    proxy=$(apt-config dump --format '%v' Acquire::http::Proxy)
    sources=(/etc/apt/sources.list.d/debian.sources)
    [ -e "${sources[0]}" ] || sources=(/etc/apt/sources.list)
    mmdebstrap --quiet --variant=minbase --skip=cleanup/apt/lists ${proxy:+--aptopt="Acquire::http::Proxy \"$proxy\""} \
      bookworm "$tar.part" "${sources[@]}" --format=tar >&2 || { echo "mmdebstrap reaches no mirror" >&2; return 1; }
    chmod 644 "$tar.part"
    mv "$tar.part" "$tar"
  fi
}

# Skips the check when the import before it could not be made.
have_debian() { kiln_as "$1" inspect debian:bookworm >/dev/null 2>&1 || unavailable "no Debian base"; }
