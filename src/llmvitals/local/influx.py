"""Runs InfluxDB 1.8 on this machine: it has Flux and the v2 API, and Go builds it from source."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import subprocess
import time
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvitals.errors import StartFailed, Unavailable
from llmvitals.local.service import LOCALHOST, Service, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = "1.8.10"
_MODULE: Final = f"github.com/influxdata/influxdb/cmd/influxd@v{VERSION}"
_USER: Final = "llmvitals"
_PASSWORD: Final = "local"  # noqa: S105 - of a server that lives for a test, on 127.0.0.1
_CONFIG: Final = """\
reporting-disabled = true
bind-address = "{host}:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "{host}:{port}"
flux-enabled = true
auth-enabled = true
log-enabled = false
[logging]
level = "warn"
"""


_PATIENCE: Final = 10.0


class InfluxBucket(NamedTuple):
    """The arguments of influxdb-client."""

    url: str
    token: str
    org: str
    bucket: str


class LocalInflux(Service):
    """An InfluxDB 1.8 on 127.0.0.1 with free ports; a context manager.

    data: the folder of its files (default: a temporary folder that stop() removes).
    progress: called with a sentence about what takes time (building it: a minute, once).
    """

    def __init__(self, data: Path | None = None, *, progress: Callable[[str], None] = lambda _: None) -> None:
        super().__init__("influxd", data)
        self._progress, self._port = progress, 0

    def start(self, timeout: float = 60.0) -> str:
        url = super().start(timeout)
        try:
            self._query(f"CREATE USER {_USER} WITH PASSWORD '{_PASSWORD}' WITH ALL PRIVILEGES")
        except BaseException:
            self.stop()
            raise
        return url

    def bucket(self, database: str) -> InfluxBucket:
        """Create this database if it is not there; its default retention policy is the bucket."""
        create, write = f'CREATE DATABASE "{database}"', "/write?" + urllib.parse.urlencode({"db": database})
        end = time.monotonic() + _PATIENCE
        self._query(create)
        # Rarely InfluxDB has answered 200 and does not know it: then it is created again.
        while self._request("POST", write) == HTTPStatus.NOT_FOUND:
            if time.monotonic() > end:
                raise StartFailed(f"InfluxDB does not know the database {database}")
            self._query(create)
        return InfluxBucket(self.address, f"{_USER}:{_PASSWORD}", "-", f"{database}/autogen")

    def prepare(self) -> list[str]:
        influxd = find_influxd(self._progress)
        self._port, rpc = free_ports(2)
        self.address = f"http://{LOCALHOST}:{self._port}"
        config = self.folder / "influxd.toml"
        config.write_text(_CONFIG.format(host=LOCALHOST, port=self._port, rpc=rpc, folder=self.folder))
        return [influxd, "run", "-config", str(config)]

    def ready(self) -> bool:
        try:
            return self._request("GET", "/ping") == 204
        except OSError:
            return False

    def _query(self, text: str) -> None:
        """Run a query that may be repeated: InfluxDB may answer 403 until it knows its new user."""
        end = time.monotonic() + _PATIENCE
        while (status := self._status(text)) == 403 and time.monotonic() < end:
            time.sleep(0.05)
        if status != 200:
            raise StartFailed(f"InfluxDB answered {status} to {text.partition(' WITH')[0]}")

    def _status(self, query: str) -> int:
        return self._request("POST", "/query?" + urllib.parse.urlencode({"q": query}))

    def _request(self, method: str, path: str) -> int:
        connection = http.client.HTTPConnection(LOCALHOST, self._port, timeout=10)
        user = base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()
        try:
            connection.request(method, path, headers={"Authorization": f"Basic {user}"})
            return connection.getresponse().status
        finally:
            connection.close()


def find_influxd(progress: Callable[[str], None]) -> str:
    """The path of an influxd 1.x: on the PATH, in Go's folders, in the cache, or built there by Go.

    Raises Unavailable when there is none and it can't be built.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmvitals"
    go_path = os.environ.get("GOPATH") or str(Path.home() / "go")
    folders = [os.environ.get("PATH", ""), os.environ.get("GOBIN", ""), f"{go_path}/bin", str(cache)]
    found = shutil.which("influxd", path=os.pathsep.join(filter(None, folders)))
    if found and not _is_second(found):
        return found
    go = shutil.which("go", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/go/bin"]))
    if go is None:
        raise Unavailable(f"InfluxDB {VERSION} is not here: put `influxd` 1.8 on the PATH, or Go to build it")
    progress(f"Building InfluxDB {VERSION}, once: a minute …")
    cache.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GOBIN": str(cache)}
    done = subprocess.run(  # noqa: S603 - our own command
        [go, "install", _MODULE], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise Unavailable(
            f"InfluxDB {VERSION} can't be built ({last[0]}). It needs network access to Go's module proxy, "
            "once; or put `influxd` 1.8 on the PATH"
        )
    return str(cache / "influxd")


def _is_second(influxd: str) -> bool:
    """Whether this is InfluxDB 2, which is set up in another way."""
    output = subprocess.run([influxd, "version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    return output.startswith("InfluxDB v2")
