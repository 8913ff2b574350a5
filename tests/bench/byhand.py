"""What a job costs without an engine: the commands of a Dockerfile in a chroot on overlayfs, its copies by cp, and its bytes by curl, libdeflate's
gzip, zstd and tar. Knows as much of the Dockerfile language as the projects of `sources.py` use. Needs root."""
import http.client
import os
import shlex
import shutil
import subprocess
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

CORES = os.cpu_count() or 1


def timed(command, **options):
    start = time.perf_counter()
    done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr[-2000:].decode(errors='replace')}")
    return time.perf_counter() - start


def instructions(text):
    """Each as (keyword, words of its flags, the rest), without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if not keyword or keyword.startswith("#"):
            continue
        flags = []
        while rest.lstrip().startswith("--"):
            flag, _, rest = rest.lstrip().partition(" ")
            flags.append(flag)
        yield keyword.upper(), flags, rest.strip()


class ByHand:
    """One execution of a Dockerfile, step after step; `seconds` has those of each step, by stage and number. `bases` are folders by name."""

    def __init__(self, context, bases, work):
        self.context, self.bases, self.work = context, bases, work
        self.roots, self.seconds = {}, {}
        try:
            self.execute()
        finally:
            removed(work)

    def execute(self):
        stage = number = -1
        for keyword, flags, rest in instructions((self.context / "Dockerfile").read_text()):
            if keyword == "FROM":
                stage, number, environment = stage + 1, 0, {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
                base, _, name = rest.partition(" AS ")
                self.root, self.folder = self.stage(base.rsplit("/", 1)[-1], stage), "/"
                self.roots[name or str(stage)] = self.root
                continue
            number += keyword in ("WORKDIR", "COPY", "RUN")  # the steps that make layers
            if keyword == "WORKDIR":
                self.folder = os.path.join(self.folder, rest)
                (self.root / self.folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif keyword == "ENV":
                environment.update(word.split("=", 1) for word in shlex.split(rest))
            elif keyword == "COPY":
                self.seconds[stage, number] = self.copy(flags, rest.split())
            elif keyword == "RUN":
                self.seconds[stage, number] = self.command(flags, rest, environment)

    def stage(self, base, number):
        folders = [self.work / f"{number}-{name}" for name in ("root", "upper", "work", "empty")]
        for folder in folders:
            folder.mkdir(parents=True)
        root, upper, work, empty = folders
        options = f"lowerdir={self.bases.get(base, empty)},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
        return root

    def copy(self, flags, words):
        sources = next((self.roots[flag[7:]] for flag in flags if flag.startswith("--from=")), self.context)
        target = self.root / os.path.join(self.folder, words[-1]).lstrip("/")
        start = time.perf_counter()
        for word in words[:-1]:
            source = sources / word.lstrip("/")
            is_within = words[-1].endswith("/") or len(words) > 2 or words[-1] in (".", "./")
            (target if source.is_dir() or is_within else target.parent).mkdir(parents=True, exist_ok=True)
            timed(["cp", "-a", f"{source}/." if source.is_dir() else source, target])
        return time.perf_counter() - start

    def command(self, flags, text, environment):
        for flag in flags:
            mount = dict(part.split("=", 1) for part in flag.removeprefix("--mount=").split(","))
            target = self.root / mount["target"].lstrip("/")
            target.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", self.roots[mount["from"]] / mount["source"].lstrip("/"), target], check=True)
        # a chroot with its own /proc, as a container has
        return timed(["unshare", "--mount", "--pid", "--fork", "sh", "-euc", 'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; '
                      'exec chroot "$1" sh -euc \'cd "$1"; exec sh -c "$2"\' sh "$2" "$3"', "sh", self.root, self.folder, text], env=environment)


def removed(folder):
    """Removes a folder, and what is mounted in it: podman leaves a bind mount of its own storage behind."""
    mounts = [line.split()[1] for line in open("/proc/mounts") if line.split()[1].startswith(str(folder))]
    for mount in sorted(mounts, reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def side_by_side(work, items):
    """Seconds of the same for each item, as many at once as there are cores."""
    start = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(work, items))
    return time.perf_counter() - start


def is_layer(blob):
    return unpacker(blob) is not None


def unpacker(blob):
    magic = blob.read_bytes()[:4]
    return "libdeflate-gunzip -c" if magic[:2] == b"\x1f\x8b" else "zstd -dcq" if magic == b"\x28\xb5\x2f\xfd" else None


def fetch(host, name, blobs, folder):
    """Seconds that curl needs for blobs of a registry, all on one connection."""
    wanted = [part for blob in blobs for part in ("-o", folder / blob, f"http://{host}/v2/{name}/blobs/sha256:{blob}")]
    return timed(["curl", "-sSf", *wanted]) if blobs else 0.0


def unpack(blobs, folder):
    """Seconds until layers are folders."""
    def one(blob):
        target = folder / f"{blob.name}.tree"
        target.mkdir()
        # what one layer alone cannot have, a link into another one, is no failure here
        subprocess.run(f"{unpacker(blob)} {blob} | tar -x -C {target} 2>/dev/null || true", shell=True, check=True)
    return side_by_side(one, [blob for blob in blobs if is_layer(blob)])


def pack(blobs, folder):
    """Seconds to compress the same tars by the same method."""
    tars = []
    for blob in filter(is_layer, blobs):
        tars.append((blob, folder / f"{blob.parent.name}.tar"))
        subprocess.run(f"{unpacker(blob)} {blob} > {tars[-1][1]}", shell=True, check=True)
    def one(item):
        blob, tar = item
        program = "libdeflate-gzip -6 -k" if "gunzip" in unpacker(blob) else "zstd -3 -q -k"
        subprocess.run(f"{program} {tar}", shell=True, check=True)
    return side_by_side(one, tars)


def send(host, name, blobs):
    """Seconds of an upload of blobs, two requests for each as in every push, all on one connection."""
    start, registry = time.perf_counter(), http.client.HTTPConnection(host)
    for blob in blobs:
        registry.request("POST", f"/v2/{name}/blobs/uploads/")
        answer = registry.getresponse()
        answer.read()
        place = urllib.parse.urlsplit(answer.headers["Location"])
        with open(blob, "rb") as content:
            registry.request("PUT", f"{place.path}?{place.query}&digest=sha256:{blob.parent.name}", content,
                             {"Content-Length": str(blob.stat().st_size), "Content-Type": "application/octet-stream"})
        registry.getresponse().read()
    return time.perf_counter() - start
