"""What bake targets mean, in one form: reads what `bake --print` prints, or (`compose`) what `docker compose config --format json` prints for
the current folder, and prints the targets without what only a version or a spelling makes different."""

import csv
import json
import os
import sys

LISTS = ("cache-from", "cache-to", "secret", "ssh", "output", "attest")
# Fields that buildx 0.13 does not print.
LATER = ("description", "entitlements", "extra-hosts", "call", "network")
# A text that is no list of keys and values.
SHORT = {"cache-from": ("type", "registry", "ref"), "cache-to": ("type", "registry", "ref"), "ssh": ("type", None, "id"), "output": ("type", "local", "dest")}


def entry(field, given):
    """Entries are texts up to 0.18, and objects later."""
    if isinstance(given, str):
        first, *more = next(csv.reader([given]))
        if field == "ssh" and "=" in first:
            name, path = first.split("=", 1)
            return {"id": name, "paths": [path, *more]}
        if "=" not in first:
            key, kind, name = SHORT[field]
            return {name: first} if kind is None else {key: kind, name: first}
        given = dict(part.split("=", 1) for part in [first, *more])
        if field == "secret":
            given.pop("type", None)
    return {key: str(value).lower() if isinstance(value, bool) else value for key, value in given.items()}


def plain(value):
    """Newer versions print what looks like a template with an escape."""
    if isinstance(value, str):
        return value.replace("$${", "${").replace("%%{", "%{")
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def context(name):
    """Newer versions write that another service is another target."""
    return "target:" + name[8:].replace(".", "_") if name.startswith("service:") else name


def baked(document, later):
    targets = document["target"]
    for target in targets.values():
        if "contexts" in target:
            target["contexts"] = {key: context(name) for key, name in target["contexts"].items()}
        for field in later:
            target.pop(field, None)
        for field in LISTS:
            if field in target:
                target[field] = [entry(field, given) for given in target[field]]
        if target.get("output") == [{"type": "cacheonly"}]:
            del target["output"]
        if "ulimits" in target:
            target["ulimits"] = sorted(target["ulimits"])
    return plain(targets)


# Fields that compose and bake have under one name, but for its spelling.
SAME = ("dockerfile", "dockerfile_inline", "args", "labels", "cache_from", "cache_to", "target", "platforms", "pull", "no_cache", "network", "tags", "ssh")


def shown(size):
    units = iter(("B", "KiB", "MiB", "GiB", "TiB"))
    size, unit = float(size), next(units)
    while size >= 1024:
        size, unit = size / 1024, next(units)
    return f"{size:g}{unit}"


def here(path):
    """compose makes all paths absolute."""
    return os.path.relpath(path) if path.startswith(os.path.dirname(os.getcwd())) else path


def service(build, image, secrets):
    target = {field.replace("_", "-"): build[field] for field in SAME if build.get(field)}
    target["context"] = here(build["context"])
    target.setdefault("dockerfile", "Dockerfile")
    if image:
        target.setdefault("tags", [image])
    if "args" in target:
        target["args"] = {key: value for key, value in target["args"].items() if value is not None}
    if "additional_contexts" in build:
        target["contexts"] = {key: context(here(name)) for key, name in build["additional_contexts"].items()}
    if "secrets" in build:
        target["secret"] = [secret(given["source"], secrets) for given in build["secrets"]]
    if "shm_size" in build:
        target["shm-size"] = shown(build["shm_size"])
    if "ulimits" in build:
        limits = build["ulimits"].items()
        pairs = ((name, (limit["soft"], limit["hard"]) if isinstance(limit, dict) else (limit, limit)) for name, limit in limits)
        target["ulimits"] = [f"{name}={soft}:{hard}" for name, (soft, hard) in pairs]
    if "extra_hosts" in build:
        target["extra-hosts"] = dict(line.split("=", 1) for line in build["extra_hosts"])
    return target


def secret(name, secrets):
    defined = secrets[name]
    if "file" in defined:
        return {"id": name, "src": here(defined["file"])}
    return {"id": name, "env": defined["environment"]}


def unescaped(value):
    """compose prints a dollar sign twice."""
    return json.loads(json.dumps(value).replace("$$", "$"))


def composed(document):
    secrets = document.get("secrets", {})
    services = document["services"].items()
    built = ((name, given) for name, given in services if given.get("build"))
    targets = {name.replace(".", "_"): service(given["build"], given.get("image"), secrets) for name, given in built}
    return baked({"target": unescaped(targets)}, ())


read = json.load(sys.stdin)
if sys.argv[1:] == ["compose"]:
    targets = composed(read)
else:
    targets = baked(read, sys.argv[1:] or LATER)
print(json.dumps(targets, indent=1, sort_keys=True))
