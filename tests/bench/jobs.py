#!/usr/bin/env python3
"""jobs.py [PROJECT...]: whole CI jobs, from an empty runner to a pushed image, of ten real projects (`sources.py`), as a table. Base images, cache and
result are in a registry on loopback; the store is new in each job. `run` has the sums of it.

Each project is built three times: cold, with nothing in the cache; cached, with the same source; changed, with one source file changed. What a job
cannot do without is measured by hand (`byhand.py`): the commands that it executed, in a chroot; the reading of its context; and the bytes that it
moved, fetched and unpacked, compressed and sent by ordinary tools. The floor is the sum of these, one after the other. KILN_JOBS names a folder
that keeps what has been fetched from outside. Needs root, mmdebstrap, docker-registry, libdeflate-gzip, cargo, npm and pip.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import byhand
import sources
from registry import Registry

STATES = ("cold", "cached", "changed")
# in the other one no command runs and no layer moves: it is some ten requests, and no multiple of anything
WITH_COMMANDS = ("cold", "changed")
MUST_REACH = 1.1


class Jobs:
    """What the jobs share: the registry with the bases, and the bases as folders. `timed` runs a command and gives its seconds."""

    def __init__(self, kiln, scratch, timed=byhand.timed):
        self.kiln, self.scratch, self.timed = kiln, scratch, timed
        self.kept = pathlib.Path(os.environ.get("KILN_JOBS", scratch / "kept"))
        self.kept.mkdir(parents=True, exist_ok=True)
        self.registry, self.roots = Registry(self.kept), self.kept / "roots"
        try:
            if not self.roots.exists():
                self.push_bases(self.kept / "roots.part")
        except BaseException:
            self.registry.stop()
            raise
        self.bases = {base: self.roots / base for base in ("debian", *sources.BASES)}

    def push_bases(self, roots):
        # of a run that was interrupted
        shutil.rmtree(roots, ignore_errors=True)
        store = self.scratch / "bases"
        sources.run(self.kiln, "load", "--store", store, "--quiet", "-i", sources.archive_of_bases(self.kiln, self.kept))
        for base in ("debian", *sources.BASES):
            name = f"{self.registry.host}/{base}:latest"
            sources.run(self.kiln, "tag", "--store", store, f"jobs/{base}", name)
            sources.run(self.kiln, "push", "--store", store, "--quiet", name)
            (roots / base).mkdir(parents=True)
            with subprocess.Popen([self.kiln, "export", "--store", store, f"jobs/{base}"], stdout=subprocess.PIPE) as export:
                subprocess.run(["tar", "-x", "-C", roots / base], stdin=export.stdout, check=True)
            if export.returncode != 0:
                raise RuntimeError(f"kiln export of {base} has failed: {export.returncode}")
        shutil.rmtree(store)
        os.rename(roots, self.roots)

    def project(self, name, rounds):
        """The figures of one project: of each state the seconds, and what it costs by hand."""
        context = self.scratch / "contexts" / name
        shutil.copytree(sources.project(self.kept, name), context, symlinks=True)
        jobs = {}
        for state in STATES:
            jobs[state] = self.median(name, context, state, rounds)
        steps = byhand.ByHand(context, self.bases, self.scratch / "byhand").seconds
        for job in jobs.values():
            job["floor"] = self.floor(context, job, steps)
            job["ratio"] = job["seconds"] / sum(job["floor"].values())
        peers = {name: engine(self, context) for name, engine in PEERS.items() if shutil.which(name)}
        shutil.rmtree(context)
        return {"project": name, "peers": peers, **{state: shown_job(job) for state, job in jobs.items()}}

    def median(self, name, context, state, rounds):
        """The job whose time is the middle one."""
        jobs = []
        for _ in range(rounds):
            if state == "cold":
                self.registry.forget(name)
                self.registry.forget(f"{name}-cache")
            elif state == "changed":
                sources.change(name, context)
            jobs.append(self.job(name, context))
        return sorted(jobs, key=lambda job: job["seconds"])[len(jobs) // 2]

    def job(self, name, context):
        """One job, as a runner does it."""
        store, log = self.scratch / "runner", self.scratch / "events"
        shutil.rmtree(store, ignore_errors=True)
        cache = f"type=registry,ref={self.registry.host}/{name}-cache:latest"
        command = [self.kiln, "build", "--store", store, "--progress", "json", "--logfile", log, "--build-arg", f"REGISTRY={self.registry.host}",
                   "-t", f"{self.registry.host}/{name}:latest", "--cache-from", cache, "--cache-to", f"{cache},mode=max", "--push", context]
        return {"seconds": self.timed([str(word) for word in command]), **told(log.read_text().splitlines())}

    def floor(self, context, job, steps):
        """What the same costs by hand: seconds by part."""
        folder = self.scratch / "floor"
        folder.mkdir()
        blobs = self.registry.blobs()
        fetched = job["pulled"]
        sent = [blobs[digest] for digest in job["pushed"]]
        floor = {"commands": sum(steps.get(step, 0.0) for step in job["executed"]), "context": read(context)}
        floor["fetch"] = sum(byhand.fetch(self.registry.host, repository, [digest for digest in fetched if fetched[digest] == repository], folder)
                             for repository in set(fetched.values()))
        floor["unpack"] = byhand.unpack([folder / digest for digest in fetched], folder)
        floor["pack"] = byhand.pack(sent, folder)
        floor["send"] = byhand.send(self.registry.host, "floor", sent)
        shutil.rmtree(folder)
        return floor


def read(context):
    """Seconds to read every file of the context."""
    return byhand.timed(["sh", "-c", 'tar -c -C "$1" . | cat', "sh", context])


def told(lines):
    """What the events of a build say: the steps that were executed, by stage and number; blobs that came, with their repositories, and blobs that
    went, with their sizes."""
    job = {"executed": [], "pulled": {}, "pushed": {}}
    steps = {}
    for event in map(json.loads, lines):
        match event:
            case {"event": "planned", "steps": planned}:
                stages = list(dict.fromkeys(step["stage"] for step in planned))
                steps = {step["step"]: (stages.index(step["stage"]), step["number"]) for step in planned}
            case {"event": "started", "step": step}:
                job["executed"].append(steps[step])
            case {"event": "transfer", "ended": True, "direction": "download"}:
                job["pulled"][event["blob"].removeprefix("sha256:")] = event["repository"].partition("/")[2]
            case {"event": "transfer", "ended": True, "direction": "upload"}:
                job["pushed"][event["blob"].removeprefix("sha256:")] = event["total"]
    return job


def shown_job(job):
    """Its figures in seconds and bytes."""
    return {"seconds": job["seconds"], "floor": job["floor"], "ratio": job["ratio"],
            "blobs": {"pulled": len(job["pulled"]), "pushed": len(job["pushed"])}, "pushed_bytes": sum(job["pushed"].values())}


def podman(jobs, context):
    """Seconds of the cold job: build and push, with a storage of its own that is new."""
    client = ["podman", "--root", jobs.scratch / "podman", "--runroot", jobs.scratch / "podman-run", "--cgroup-manager", "cgroupfs"]
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    return peer(jobs, context, client, ["build", "--layers", *limits])


def buildah(jobs, context):
    """The same."""
    return peer(jobs, context, ["buildah", "--root", jobs.scratch / "buildah", "--runroot", jobs.scratch / "buildah-run"], ["build", "--layers"])


def peer(jobs, context, client, build):
    name = f"{jobs.registry.host}/{context.name}-peer:latest"
    jobs.registry.forget(f"{context.name}-peer")
    commands = [[*client, *build, "--network", "host", "--build-arg", f"REGISTRY={jobs.registry.host}", "--tls-verify=false", "-q", "-t", name, context],
                [*client, "push", "--tls-verify=false", "-q", name]]
    try:
        return sum(byhand.timed(command) for command in commands)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return None
    finally:
        for storage in (client[2], client[4]):
            byhand.removed(storage)


PEERS = {"buildah": buildah, "podman": podman}


def sums(rows, state):
    """Seconds of all projects, and what they cost by hand."""
    return sum(row[state]["seconds"] for row in rows), sum(sum(row[state]["floor"].values()) for row in rows)


def print_table(rows):
    heads = ["project", *(head for state in WITH_COMMANDS for head in (state, "by hand", "ratio")), "cached", *PEERS]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for row in rows:
        cells = [cell for state in WITH_COMMANDS for cell in (seconds(row[state]["seconds"]), seconds(sum(row[state]["floor"].values())), f"{row[state]['ratio']:.2f}")]
        cells += [seconds(row["cached"]["seconds"]), *(seconds(row["peers"].get(name)) for name in PEERS)]
        print("| " + " | ".join([row["project"], *cells]) + " |")
    for state in WITH_COMMANDS:
        took, floor = sums(rows, state)
        print(f"{state}: {took:.2f} s of {floor:.2f} s by hand, {took / floor:.2f} x (must reach {MUST_REACH} x)")


def seconds(value):
    return "-" if value is None else f"{value:.2f} s"


def measured(kiln, scratch, names=(), rounds=1, timed=byhand.timed):
    """The figures of projects, of all by default."""
    jobs = Jobs(kiln, scratch, timed)
    try:
        return [jobs.project(name, rounds) for name in names or sources.PROJECTS]
    finally:
        jobs.registry.stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("projects", nargs="*", metavar="PROJECT", help=", ".join(sources.PROJECTS))
    arguments.add_argument("--kiln", type=pathlib.Path, required=True, help="the binary")
    arguments.add_argument("--alone", action="store_true", help="no comparison with buildah and podman")
    arguments.add_argument("--runs", type=int, default=3, help="jobs of each kind, of which the middle one counts")
    arguments.add_argument("--json", type=pathlib.Path, help="where the figures go, in seconds and bytes")
    options = arguments.parse_args()
    if options.alone:
        PEERS.clear()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="kiln-bench."))
    try:
        rows = measured(options.kiln.resolve(), scratch, options.projects, options.runs)
    finally:
        byhand.removed(scratch)
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
