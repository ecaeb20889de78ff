"""The compose profile's nginx, started here with its own configuration, on ports of a test's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import trustme

from shared.processes import spawn
from tests.service import ROOT, free_port

# Debian has it where only root looks.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
CONFIGURATION = ROOT / "deploy" / "nginx.conf"


class Proxy:
    """An nginx in front of a web tier on this machine; `authority` is who its clients trust."""

    def __init__(self, folder: Path, web_port: int) -> None:
        """Write what it needs to `folder`."""
        self.https, self.http = free_port(), free_port()
        self.url = f"https://localhost:{self.https}"
        self.authority = str(folder / "ca.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(str(folder / "key.pem"))
        for blob in issued.cert_chain_pems:
            blob.write_to_path(str(folder / "cert.pem"), append=True)
        text = CONFIGURATION.read_text()
        for inside, here in {
            " /tmp/": f" {folder}/",
            "/tls/": f"{folder}/",
            "listen 8443": f"listen 127.0.0.1:{self.https}",
            "listen 8080": f"listen 127.0.0.1:{self.http}",
            "http://web:8000": f"http://127.0.0.1:{web_port}",
        }.items():
            assert inside in text
            text = text.replace(inside, here)
        (folder / "nginx.conf").write_text(text)
        # As root it would give its work to a user who cannot enter the folder.
        user = "user root; " if os.geteuid() == 0 else ""
        self._command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._command += ["-e", "stderr", "-g", f"{user}daemon off;"]

    def complaint(self) -> str:
        """Return what nginx finds wrong with the configuration, or warns of."""
        done = subprocess.run([*self._command, "-t", "-q"], capture_output=True, text=True)
        return done.stderr if done.returncode == 0 else done.stderr or "it fails"

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; it listens a moment later."""
        return spawn(self._command)
