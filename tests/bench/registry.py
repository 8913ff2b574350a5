"""A registry on a loopback port, and a slow way to it: Debian's docker-registry, open to everybody, and a proxy in a process of its own that passes
bytes on at a rate and with a delay. Unaware of what is measured."""
import asyncio
import json
import multiprocessing
import shutil
import socket
import subprocess
import time
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens at port {port}")


class Registry:
    """Serves a folder from its making until `stop`."""

    def __init__(self, folder):
        self.folder, self.port = folder / "registry", free_port()
        self.host = f"localhost:{self.port}"
        settings = folder / "registry.yml"
        settings.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {self.folder}}}}}\n"
                            f"http: {{addr: '127.0.0.1:{self.port}'}}\n")
        self.process = subprocess.Popen(["docker-registry", "serve", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(self.port)
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def is_here():
        return shutil.which("docker-registry") is not None

    def stop(self):
        self.process.kill()
        self.process.wait()

    def blobs(self):
        """The files of all blobs."""
        return {path.parent.name: path for path in self.folder.glob("**/blobs/sha256/*/*/data")}

    def forget(self, name):
        """What is under one name. The registry looks at the disk for each request, and blobs without a name are not there for its clients."""
        shutil.rmtree(self.folder / "docker/registry/v2/repositories" / name, ignore_errors=True)

    def manifest(self, name, tag):
        request = urllib.request.Request(f"http://{self.host}/v2/{name}/manifests/{tag}", headers={"Accept": ", ".join(MANIFESTS)})
        return json.load(urllib.request.urlopen(request))

    def addresses(self, name, tag):
        """Where the layers of an image are, with their sizes."""
        layers = self.manifest(name, tag)["layers"]
        return [(f"http://{self.host}/v2/{name}/blobs/{layer['digest']}", layer["size"]) for layer in layers]


MANIFESTS = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"]


class SlowWay:
    """A port that leads to another one. Bytes of all connections and of either direction share `rate` (bytes a second, for each direction)
    and arrive `delay` seconds later; a new connection waits twice that long, as a handshake does."""

    def __init__(self, port, rate, delay):
        self.port = free_port()
        self.process = multiprocessing.Process(target=slow_way, args=(self.port, port, rate, delay), daemon=True)
        self.process.start()
        self.host = f"localhost:{self.port}"
        try:
            wait_for(self.port)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.process.kill()
        self.process.join()


class Wire:
    """One direction: says when the bytes that are put on it now have passed."""

    def __init__(self, rate):
        self.rate, self.free = rate, 0.0

    def passed(self, size):
        self.free = max(self.free, time.monotonic()) + size / self.rate
        return self.free


def slow_way(port, target, rate, delay):
    there, back = Wire(rate), Wire(rate)

    async def carry(reader, writer, wire):
        """What is under way is bounded as by a window, so that a reader that stops is noticed."""
        queue = asyncio.Queue(maxsize=64)

        async def deliver():
            while (item := await queue.get()) is not None:
                await asyncio.sleep(max(0.0, item[0] + delay - time.monotonic()))
                writer.write(item[1])
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        delivery = asyncio.create_task(deliver())
        while part := await reader.read(32 << 10):
            passed = wire.passed(len(part))
            await queue.put((passed, part))
            await asyncio.sleep(max(0.0, passed - time.monotonic()))
        await queue.put(None)
        await delivery

    async def connection(reader, writer):
        await asyncio.sleep(2 * delay)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(carry(reader, far_writer, there), carry(far_reader, writer, back), return_exceptions=True)
        writer.close()
        far_writer.close()

    async def serve():
        server = await asyncio.start_server(connection, "127.0.0.1", port, limit=64 << 10)
        await server.serve_forever()

    asyncio.run(serve())
