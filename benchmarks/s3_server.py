"""moto's S3 on this machine, which can be told to misbehave: refuse, be late, or break off what is sent to it."""

import hashlib
import logging
import os
import random
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

BUCKET = "cluster"
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Server:
    """An S3 server with one bucket.

    faults: shares of the requests that are answered with 503 (`refused`), half a second late (`late`), or, of those
    that send a file, broken off half way (`broken`). delay: seconds before each shard is sent. counts: of the faults.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # else it writes a line for each request
        self.faults, self.delay, self._chance = dict[str, float](), 0.0, random.Random(1)
        self.counts = {"refused": 0, "late": 0, "broken": 0}
        true = DomainDispatcherApplication.__call__

        def answer(app: Any, environ: Any, start: Any) -> Any:
            if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith(".tar"):
                time.sleep(self.delay)
            if self._drawn("late"):
                time.sleep(0.5)
            if environ["REQUEST_METHOD"] == "PUT" and self._drawn("broken"):
                self._break_off(environ)
            if self._drawn("refused"):
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start("503 Slow Down", [("Content-Type", "application/xml")])
                return [BUSY]
            return true(app, environ, start)

        DomainDispatcherApplication.__call__ = answer  # type: ignore[method-assign]
        self.server = ThreadedMotoServer(port=0, verbose=False)
        self.server.start()
        self._be_found()
        import boto3

        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket=BUCKET)

    def _drawn(self, fault: str) -> bool:
        drawn = self._chance.random() < self.faults.get(fault, 0.0)
        self.counts[fault] += drawn
        return drawn

    def _break_off(self, environ: Any) -> None:
        """Reads half of a file that is sent and closes the connection."""
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
        with suppress(OSError):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionError("broken off by this benchmark")

    def _be_found(self) -> None:
        """Tells this process and its children where the server is, and that there is no other storage."""
        _, port = self.server.get_host_and_port()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put(self, folder: Path, prefix: str) -> str:
        """Uploads a folder; its address."""
        for path in sorted(folder.iterdir()):
            self.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{path.name}", Body=path.read_bytes())
        return f"s3://{BUCKET}/{prefix}"

    def hashes(self, prefix: str) -> dict[str, str]:
        """SHA-256 of each file below a folder."""
        found: dict[str, str] = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/"):
            for one in page.get("Contents", ()):
                data = self.client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
                found[one["Key"].removeprefix(f"{prefix}/")] = hashlib.sha256(data).hexdigest()
        return found

    def uploads(self) -> int:
        """Uploads in parts that were begun and neither finished nor given up."""
        return len(self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()))
