"""Ten real projects and the images that they are built on, from where a CI machine reaches: Debian's source packages, crates.io, PyPI and npm. What a
project needs from outside is fetched here, so that its own commands need no network. Unaware of how anything is built or measured."""
import json
import os
import pathlib
import shutil
import subprocess

REPO = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = REPO / "fixtures/bench/jobs"
BASES = ("c", "rust", "python", "node")


def run(*command, **options):
    """Its standard output; fails with what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
    return done.stdout


def debian(package):
    """What is in its source package, as its authors made it: apt's own lists, once more for sources."""
    def fetch(folder, scratch):
        apt = scratch / "apt"
        options = ["-o", f"Dir::State::lists={apt}/lists", "-o", f"Dir::Cache={apt}/cache", "-o", "Dir::Etc::sourcelist=/dev/null",
                   "-o", f"Dir::Etc::sourceparts={apt}/parts", "-o", "APT::Sandbox::User=root"]
        if not apt.exists():
            for name in ("lists/partial", "cache", "parts"):
                (apt / name).mkdir(parents=True)
            for file in [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("debian.*")]:
                if file.exists():
                    text = file.read_text().replace("Types: deb\n", "Types: deb-src\n")
                    lines = ("deb-src " + line[4:] if line.startswith("deb ") else line for line in text.splitlines())
                    (apt / "parts" / file.name).write_text("\n".join(lines) + "\n")
            run("apt-get", *options, "update")
        run("apt-get", *options, "source", "--download-only", package, cwd=scratch)
        run("dpkg-source", "--no-check", "--skip-patches", "-x", next(scratch.glob(f"{package}_*.dsc")), folder)
    return fetch


def crate(name, version):
    """A published crate with all that it needs in a folder `vendor`."""
    def fetch(folder, scratch):
        asking = scratch / "asking"
        (asking / "src").mkdir(parents=True)
        (asking / "src/main.rs").write_text("fn main() {}\n")
        (asking / "Cargo.toml").write_text(f'[package]\nname = "asking"\nversion = "0.0.0"\n[dependencies]\n{name} = "={version}"\n[workspace]\n')
        run("cargo", "vendor", "--quiet", "vendored", cwd=asking)
        shutil.move(asking / "vendored" / name, folder)
        shutil.move(asking / "vendored", folder / "vendor")
        shutil.copy(asking / "Cargo.lock", scratch / "lock")
        (folder / ".cargo-checksum.json").unlink()
        (folder / ".cargo").mkdir()
        (folder / ".cargo/config.toml").write_text('[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "vendor"\n')
        # its own tests need more than it does, and its own lock names other versions than what was fetched
        lines = (folder / "Cargo.toml").read_text().split("\n[")
        (folder / "Cargo.toml").write_text("\n[".join(part for part in lines if not part.startswith("dev-dependencies")))
        (folder / "Cargo.lock").unlink(missing_ok=True)
    return fetch


def sdist(name, version):
    """A source distribution, with what builds wheels in a folder `wheels`."""
    def fetch(folder, scratch):
        run("pip", "download", "--quiet", "--no-deps", "--no-binary", name, "-d", scratch, f"{name}=={version}")
        folder.mkdir()
        run("tar", "-x", "--strip-components=1", "-C", folder, "-f", next(scratch.glob(f"{name}-*.tar.gz")))
        wheels(folder, "setuptools==68.2.2", "wheel==0.42.0")
    return fetch


def requirements(*names):
    """An application that is a list of packages."""
    def fetch(folder, scratch):
        folder.mkdir()
        (folder / "requirements.txt").write_text("\n".join(names) + "\n")
        shutil.copy(REPO / "fixtures/interop/application/rivers.csv", folder)
        wheels(folder, *names)
    return fetch


def wheels(folder, *names):
    run("pip", "download", "--quiet", "--only-binary", ":all:", "--python-version", "3.11", "-d", folder / "wheels", *names)


def package(name, version, **changes):
    """A published package of npm with a lock, and all that this names in a folder `.npm`; changes are made to its package.json."""
    def fetch(folder, scratch):
        folder.mkdir()
        archive = run("npm", "pack", "--silent", f"{name}@{version}", cwd=scratch).split()[-1]
        run("tar", "-x", "--strip-components=1", "-C", folder, "-f", scratch / archive)
        about = json.loads((folder / "package.json").read_text())
        about.pop("devDependencies", None)
        about.pop("scripts", None)
        (folder / "package.json").write_text(json.dumps({**about, **changes}, indent=2) + "\n")
        quiet = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        run("npm", "install", "--package-lock-only", *quiet, cwd=folder)
        run("npm", "ci", "--cache", ".npm", *quiet, cwd=folder)
        shutil.rmtree(folder / "node_modules")
    return fetch


# name: how it is fetched, and the file that changes
PROJECTS = {
    "sed": (debian("sed"), "sed/sed.c"),
    "xz": (debian("xz-utils"), "src/xz/main.c"),
    "lua": (debian("lua5.4"), "src/lua.c"),
    "cmark": (debian("cmark"), "src/main.c"),
    "fmtlib": (debian("fmtlib"), "src/format.cc"),
    "hexyl": (crate("hexyl", "0.16.0"), "src/main.rs"),
    "psutil": (sdist("psutil", "5.9.8"), "psutil/__init__.py"),
    "datasette": (requirements("datasette==0.65.1", "sqlite-utils==3.38", "setuptools", "pip"), "rivers.csv"),
    "http-server": (package("http-server", "14.1.1"), "lib/http-server.js"),
    "rxjs": (package("rxjs", "7.8.1", devDependencies={"typescript": "4.2.4"}), "src/index.ts"),
}


def project(kept, name):
    """The folder of a project with its Dockerfile; fetched once."""
    folder = kept / "projects" / name
    if not folder.exists():
        fetch, _ = PROJECTS[name]
        scratch, part = kept / "scratch" / name, kept / "part" / name
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        part.parent.mkdir(exist_ok=True)
        fetch(part, scratch)
        part_done(part, folder)
    for file in (FIXTURES / name).iterdir():
        shutil.copy(file, folder)
    return folder


def part_done(part, folder):
    folder.parent.mkdir(exist_ok=True)
    os.rename(part, folder)


def change(name, folder):
    """Changes one source file, by a line of comment."""
    _, file = PROJECTS[name]
    comment = {".py": "# changed\n", ".csv": "Loire,1006,Atlantic\n"}.get(pathlib.Path(file).suffix, "// changed\n")
    with open(folder / file, "a") as source:
        source.write(comment)


def archive_of_bases(kiln, kept):
    """An archive of the images that projects stand on, made once with this machine's way to its mirror: `debian` and BASES."""
    archive = kept / "bases.tar"
    if not archive.exists():
        store = kept / "store"
        rootfs = run("bash", "-c", '. ./lib.sh; . ./debian.sh; debian_rootfs', cwd=REPO / "tests/interop",
                     env={**os.environ, "KILN": str(kiln), "KILN_DEBIAN_ROOTFS": os.environ.get("KILN_DEBIAN_ROOTFS", str(kept / "debian.tar"))}).strip()
        run(kiln, "import", "--store", store, rootfs, "debian:bookworm")
        proxies = [word for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ
                   for word in ("--build-arg", f"{name}={os.environ[name]}")]
        for name in BASES:
            run(kiln, "build", "--store", store, "--quiet", "--target", name, "-t", f"jobs/{name}", *proxies, FIXTURES / "bases")
        run(kiln, "tag", "--store", store, "debian:bookworm", "jobs/debian")
        run(kiln, "save", "--store", store, "-o", f"{archive}.part", *(f"jobs/{name}" for name in ("debian", *BASES)))
        os.rename(f"{archive}.part", archive)
        shutil.rmtree(store)
    return archive
