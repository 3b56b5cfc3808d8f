"""Addresses as Envoy writes them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.core.v3 import Address as EnvoyAddress
from envoy_data_plane.envoy.config.core.v3 import Pipe, SocketAddress

if TYPE_CHECKING:
    from extproc.envoy.layout import Address
    from extproc.plan.model import ModelPlan

SOCKET_MODE = 0o600  # sub-calls and Envoy's admin pages are for this user alone


def envoy_address(address: Address) -> EnvoyAddress:
    """Return a Unix socket (mode 0600) or a TCP address for Envoy."""
    if address.path:
        return EnvoyAddress(pipe=Pipe(path=address.path, mode=SOCKET_MODE))
    return EnvoyAddress(socket_address=SocketAddress(address=address.host, port_value=address.port))


def endpoint_address(address: Address) -> EnvoyAddress:
    """Return the address of an endpoint: a socket's mode is its owner's affair."""
    if address.path:
        return EnvoyAddress(pipe=Pipe(path=address.path))
    return envoy_address(address)


def is_ip(host: str) -> bool:
    """Tell whether a host is an IPv4 or IPv6 address and needs no resolver."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def several_hosts(model: ModelPlan) -> bool:
    """Tell whether a model may be at several addresses: a name may have many, ``localhost`` one of each family."""
    return len(model.endpoints) > 1 or not all(is_ip(endpoint.host) for endpoint in model.endpoints)
