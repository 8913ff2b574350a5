"""The cases of `run` that show how kiln grows: many files, large ones, many layers, many instructions. Each says in its first line what it
measures, works in the folder that FOLDERS names, where a peer can build the same, and returns seconds."""
import os
import shutil
import statistics
import subprocess
import time


def write_tree(tree, directories):
    """A thousand small files in each directory."""
    for directory in range(directories):
        inner = tree / f"d{directory:03}"
        inner.mkdir(parents=True)
        for number in range(1000):
            (inner / f"f{number:03}").write_text(f"file {number} of {directory}\n" * 8)
    os.sync()
    time.sleep(2)  # files of this very second may change unseen: kiln reads those again


def files(bench, name, directories):
    folder = bench.context(name, {"Dockerfile": "FROM scratch\nCOPY tree /tree\n"})
    if not (folder / "tree").exists():
        write_tree(folder / "tree", directories)
    return folder


def one_changed(bench, folder, runs):
    """Builds once, then changes one file before each run."""
    command = bench.command(folder)
    bench.time(command)
    bench.time(command)
    changes = iter(range(1000))

    def change():
        (folder / "tree/d000/f000").write_text(f"{time.time()} {next(changes)}\n")

    return bench.median(command, prepare=change, runs=runs)


def copy_changed(bench):
    """100,000 small files, one of them changed"""
    return one_changed(bench, files(bench, "files", 100), 5)


def million_cold(bench):
    """COPY of 1,000,000 small files, new store"""
    return bench.median(bench.command(files(bench, "million", 1000)), prepare=bench.forget, runs=1)


def million_changed(bench):
    """the same, one of them changed"""
    return one_changed(bench, files(bench, "million", 1000), 1)


def million_unchanged(bench):
    """the same, unchanged"""
    command = bench.command(files(bench, "million", 1000))
    bench.time(command)
    bench.time(command)
    return bench.median(command, runs=3)


def big(bench):
    """A context of 1 GiB in eight files, a half of each of zeros and text, as programs are."""
    folder = bench.context("big", {"Dockerfile": "FROM scratch\nCOPY data /data\n"})
    if not (folder / "data").exists():
        (folder / "data").mkdir()
        text = b"".join(b"line %d of a file that compresses\n" % number for number in range(40_000))[:1 << 20]
        for number in range(8):
            with open(folder / "data" / str(number), "wb") as file:
                for _ in range(64):
                    file.write(os.urandom(1 << 20) + text)
        os.sync()
        time.sleep(2)
    return folder


def copy_big(bench):
    """COPY of 1 GiB, new store"""
    return bench.median(bench.command(big(bench)), prepare=bench.forget, runs=3)


def archive(bench, *options):
    """The command that saves the image of 1 GiB."""
    bench.time(bench.command(big(bench), "-t", "big"))
    return [str(bench.kiln), "save", "--store", str(bench.store), *options, "-o", str(bench.scratch / "big.tar"), "big"]


def save_big(bench):
    """save of it"""
    return bench.median(archive(bench), runs=3)


def zstd_big(bench):
    """save of it with zstd"""
    def forget():
        bench.forget()
        archive(bench)

    return bench.median(archive(bench, "--layer-compression", "zstd"), prepare=forget, runs=3)


def load_big(bench):
    """load of it, new store"""
    bench.time(archive(bench))
    command = [str(bench.kiln), "load", "--quiet", "--store", str(bench.store), "-i", str(bench.scratch / "big.tar")]
    return bench.median(command, prepare=bench.forget, runs=3)


WRITES = "i=0; while [ $i -lt 50000 ]; do echo $i > /out/$((i % 50))/$i; i=$((i + 1)); done"
FOLDERS_FOR_THEM = "for i in $(seq 0 49); do mkdir -p /out/$i; done"


def run_files(bench):
    """RUN that writes 50,000 files, above its command"""
    took = []
    for name, script in (("writes", WRITES), ("writes-none", "true")):
        context = bench.context(name, {"Dockerfile": f"FROM tools\nRUN {FOLDERS_FOR_THEM}\nRUN {script}\n"})
        took.append(bench.median(bench.command(context, "--no-cache"), runs=3))
    return took[0] - took[1] - statistics.median(outside(bench) for _ in range(3))


def outside(bench):
    """Seconds that the same takes outside, in a folder of its own."""
    root = bench.scratch / "outside"
    shutil.rmtree(root, ignore_errors=True)
    script = [part.replace("/out/", f"{root}/out/") for part in (FOLDERS_FOR_THEM, WRITES)]
    subprocess.run(["sh", "-c", script[0]], check=True)
    begun = time.perf_counter()
    subprocess.run(["sh", "-c", script[1]], check=True)
    return time.perf_counter() - begun


LOOKUPS = "for i in $(seq 1 20000); do [ -e /some/path/$((i % 200))/$i ]; done; true"


def deep(bench, layers):
    """Seconds of a RUN that looks 20,000 paths up above so many layers."""
    below = "".join(f"COPY a.txt /layer{number}\n" for number in range(layers))
    text = f"FROM tools\n{below}"
    command = []
    for name, lookups in (("with", LOOKUPS), ("without", "true")):
        context = bench.context(f"deep-{layers}-{name}", {"Dockerfile": f"{text}RUN {lookups}\n", "a.txt": "a"})
        command.append(bench.command(context, "--no-cache"))
    return bench.median(command[0], runs=3) - bench.median(command[1], runs=3)


def deep_layers(bench):
    """20,000 paths looked up above 60 layers; limit: 2 x the same above one"""
    bench.limit = 2 * deep(bench, 1)
    return deep(bench, 60)


def view_made(bench):
    """first RUN on a layer of 100,000 files"""
    folder = files(bench, "files", 100)
    texts = {"Below": "FROM tools\nCOPY tree /tree\n", "Run": "FROM tools\nCOPY tree /tree\nRUN true\n"}
    below, run = (bench.command(bench.context("files", {name: text}), "-f", str(folder / name)) for name, text in texts.items())

    def forget():
        bench.forget()
        bench.base()
        bench.time(below)

    return bench.median(run, prepare=forget, runs=3)


def chain_runs(bench):
    """120 trivial RUNs"""
    runs = "".join(f"RUN true {number}\n" for number in range(120))
    return bench.median(bench.command(bench.context("chain", {"Dockerfile": "FROM tools\n" + runs}), "--no-cache"), runs=3)


def chain_again(bench):
    """the same again"""
    chain_runs(bench)
    command = bench.command(bench.scratch / "chain")
    bench.time(command)
    return bench.median(command)


def environment(bench):
    """2,000 ENV, new store"""
    lines = "".join(f"ENV NAME{number}=value\n" for number in range(2000))
    command = bench.command(bench.context("environment", {"Dockerfile": "FROM scratch\n" + lines}))
    return bench.median(command, prepare=bench.forget, runs=3)


def many_layers(bench):
    """300 layers of one file, new store"""
    lines = "".join(f"COPY a.txt /{number}\n" for number in range(300))
    command = bench.command(bench.context("layers", {"Dockerfile": "FROM scratch\n" + lines, "a.txt": "a"}))
    return bench.median(command, prepare=bench.forget, runs=3)


# name: (case, limit in seconds)
CASES = {"changed": (copy_changed, 0.5), "big": (copy_big, 1.2), "save": (save_big, 0.9), "load": (load_big, 1.2), "zstd": (zstd_big, 2.2),
         "writes": (run_files, 0.3), "view": (view_made, 1.4), "deep": (deep_layers, None), "chain": (chain_runs, 0.6), "again": (chain_again, None),
         "environment": (environment, None), "layers": (many_layers, None)}
# these need two gigabytes of memory for file caches, four of disk, and some minutes
LARGE = {"million": (million_cold, 10.0), "million-changed": (million_changed, 4.0), "million-unchanged": (million_unchanged, 1.6)}
# name: what a peer builds for it
FOLDERS = {"changed": "files", "big": "big", "chain": "chain", "environment": "environment", "layers": "layers", "million": "million"}
