"""Networks as Docker makes them, of namespaces: each container has an address of its own, and a bridge joins them.

No rights are needed where the kernel lets users have namespaces; root always may.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BRIDGE = "10.42.0.1"  # where what is no container listens
_NAMED = "bridge"
_READY = b"ready\n"
_PACKAGES = {"bwrap": "bubblewrap", "ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}


class Namespace:
    """A network namespace, as long as the process that holds it; that one ends with the tests, however they end."""

    def __init__(self, words: Sequence[str]) -> None:
        self._holder = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        if said != _READY:
            said += self._holder.communicate()[0]
        assert said == _READY, (
            "these tests make networks of their own (unshare --user --net), and could not: root may, others where the "
            f"kernel lets users have namespaces. {said.decode()}"
        )
        self.run("ip", "link", "set", "lo", "up")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of process {self._holder.pid}>"

    @property
    def pid(self) -> int:
        """The process that holds it."""
        return self._holder.pid

    def into(self) -> list[str]:
        """The words before a command that runs in it."""
        return [program("nsenter"), f"--target={self.pid}", "--user", "--net", "--preserve-credentials"]

    def run(self, name: str, *words: str) -> None:
        """Runs a command in it."""
        done = subprocess.run([*self.into(), program(name), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        """Ends it, once nothing runs in it any more."""
        self._holder.communicate()


class Bridge(Namespace):
    """Joins networks; ``relays`` are ways between it and the tests, as relay.py takes them."""

    def __init__(self, relays: Sequence[str]) -> None:
        self._relays = Path(__file__).with_name("relay.py")
        super().__init__([program("unshare"), "--user", "--map-root-user", "--net", "sh", "-c", "echo ready; exec cat"])
        self.run("ip", "link", "add", _NAMED, "type", "bridge")
        self.run("ip", "addr", "add", f"{BRIDGE}/24", "dev", _NAMED)
        self.run("ip", "link", "set", _NAMED, "up")
        self._relay = Namespace([*self.into(), sys.executable, str(self._relays), *relays])

    def close(self) -> None:
        """Ends the relay, too."""
        self._relay.close()
        super().close()


class Network(Namespace):
    """A container's network, with an address that others at the bridge reach."""

    def __init__(self, bridge: Bridge, address: str) -> None:
        super().__init__([*bridge.into(), program("unshare"), "--net", "sh", "-c", "echo ready; exec cat"])
        cable = f"to{address.rpartition('.')[2]}"
        bridge.run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        bridge.run("ip", "link", "set", cable, "master", _NAMED, "up")
        self.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")


def program(name: str) -> str:
    """The path of a program that these tests need."""
    found = shutil.which(name)
    assert found, f"no {name}: these tests run containers without Docker; apt-get install {_PACKAGES.get(name, name)}"
    return found
