"""The likeness of an S3, in a thread of this process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import boto3  # type: ignore[import-untyped]  # ships no types
from moto.server import ThreadedMotoServer


class ObjectStore:
    """A running S3 with an empty bucket; `with ObjectStore() as store:` stops it."""

    def __enter__(self) -> Self:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self._bucket = f"batchpoint-{port}"  # all servers of a process hold the same buckets
        self.url = f"s3://{self._bucket}/models"
        # The environment by which a process reaches it.
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self._client = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_DEFAULT_REGION"],
        )
        self._client.create_bucket(Bucket=self._bucket)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()

    def upload(self, folder: Path, name: str) -> None:
        """Put the files of `folder` below `url` as `name`."""
        for path in folder.rglob("*"):
            if path.is_file():
                key = f"models/{name}/{path.relative_to(folder)}"
                self._client.upload_file(str(path), self._bucket, key)
