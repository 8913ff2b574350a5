# A registry on a loopback port, for the topics that need one. Sourced after lib.sh; `start_registry` starts it.

free_port() { python3 -c 'import socket; probe = socket.socket(); probe.bind(("127.0.0.1", 0)); print(probe.getsockname()[1])'; }
PORT=${KILN_INTEROP_PORT:-$(free_port)}
HOST=localhost:$PORT
registry=

stop_registry() { [ -z "$registry" ] || kill "$registry" 2>/dev/null || true; }
trap 'stop_registry; remove_scratch' EXIT

# The registry of Debian on a loopback port, open to everybody.
start_registry() {
  command -v docker-registry >/dev/null || return 0
  cat >"$SCRATCH/registry.yml" <<YML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $SCRATCH/registry}}
http: {addr: "127.0.0.1:$PORT"}
YML
  docker-registry serve "$SCRATCH/registry.yml" >"$SCRATCH/registry.log" 2>&1 &
  registry=$!
  for _ in $(seq 100); do
    python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)" 2>/dev/null && return
    sleep 0.1
  done
}
need_registry() { need docker-registry; kill -0 "$registry" 2>/dev/null || unavailable "docker-registry does not run: $(tail -n 1 "$SCRATCH/registry.log")"; }
