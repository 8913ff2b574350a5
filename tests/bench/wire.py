"""The cases of `run` that need a registry. A base of 1 GiB is pulled and a RUN stands on it, over loopback and through a wire of 100 Mbit/s with
20 ms each way: the limit is 1.1 times what curl needs for the same blobs, or what that wire takes for them. And the sums of `jobs.py`: the limit is
1.1 times the same work by hand."""
import os
import shutil
import statistics
import subprocess
import time

import jobs
from registry import Registry, SlowWay

RATE, DELAY = 100e6 / 8, 0.020
LAYERS = 8


class Unavailable(Exception):
    """Why a case cannot be measured here."""


def need(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        raise Unavailable(f"no {' '.join(missing)}" if missing else "not root")


def base(bench, registry):
    """Pushes an image of 1 GiB in eight layers, a half of each random and a half text; gives the context that stands on it."""
    folder = bench.context("wide", {"Dockerfile": "FROM tools\n" + "".join(f"COPY {number} /data/{number}\n" for number in range(LAYERS))})
    text = b"".join(b"line %d of a file that compresses\n" % number for number in range(40_000))[:1 << 20]
    for number in range(LAYERS):
        with open(folder / str(number), "wb") as file:
            for _ in range(64):
                file.write(os.urandom(1 << 20) + text)
    name = f"{registry.host}/wide:1"
    bench.time(bench.command(folder, "-t", name))
    bench.time([str(bench.kiln), "push", "--quiet", "--store", str(bench.store), name])


def pulls(bench, way, runs):
    """Seconds from an empty store to the RUN on it."""
    context = bench.context("on-wide", {"Dockerfile": f"FROM {way.host}/wide:1\nRUN true\n"})
    return bench.median(bench.command(context), prepare=bench.forget, runs=runs)


def fetched(bench, addresses):
    """Seconds that curl needs to bring the same to a file, all at once."""
    files = [str(bench.scratch / f"blob{number}") for number in range(len(addresses))]
    wanted = [part for (address, _), file in zip(addresses, files) for part in ("-o", file, address)]
    start = time.perf_counter()
    subprocess.run(["curl", "--silent", "--fail", "--parallel", *wanted], check=True, stderr=subprocess.DEVNULL)
    took = time.perf_counter() - start
    for file in files:
        os.remove(file)
    return took


def pull_near(bench):
    """pull of a 1 GiB base over loopback, and a RUN; limit: 1.1 x curl to files"""
    need("docker-registry", "curl")
    registry = Registry(bench.scratch)
    try:
        base(bench, registry)
        addresses = registry.addresses("wide", "1")
        bench.limit = 1.1 * statistics.median(fetched(bench, addresses) for _ in range(3))
        return pulls(bench, registry, 3)
    finally:
        registry.stop()


def pull_far(bench):
    """the same through 100 Mbit/s and 20 ms; limit: 1.1 x the wire"""
    need("docker-registry")
    registry, way = Registry(bench.scratch), None
    try:
        way = SlowWay(registry.port, RATE, DELAY)
        base(bench, registry)
        bench.limit = 1.1 * sum(size for _, size in registry.addresses("wide", "1")) / RATE
        return pulls(bench, way, 1)
    finally:
        if way is not None:
            way.stop()
        registry.stop()


def job(bench, state):
    """Seconds of all jobs of a state; those of all states are measured once."""
    need("docker-registry", "curl", "mmdebstrap", "libdeflate-gzip", "zstd", "cargo", "npm", "pip")
    if bench.jobs is None:
        bench.jobs = jobs.measured(bench.kiln, bench.scratch, timed=bench.time)
    took, by_hand = jobs.sums(bench.jobs, state)
    bench.limit = jobs.MUST_REACH * by_hand if state in jobs.WITH_COMMANDS else None
    bench.detail = [{"project": row["project"], **row[state]} for row in bench.jobs]
    return took


def job_cold(bench):
    """ten CI jobs, empty runner to pushed image; limit: 1.1 x their commands and bytes by hand"""
    return job(bench, "cold")


def job_cached(bench):
    """the same, all of it cached: requests alone"""
    return job(bench, "cached")


def job_changed(bench):
    """the same, one source file changed"""
    return job(bench, "changed")


# name: (case, limit in seconds: each says its own)
LARGE = {"pull": (pull_near, None), "pull-far": (pull_far, None),
         "jobs": (job_cold, None), "jobs-cached": (job_cached, None), "jobs-changed": (job_changed, None)}
