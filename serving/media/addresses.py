"""Which addresses media may be fetched from.

A client that names a URL makes the server connect somewhere; without a check that reaches whatever
the server's network holds (cloud metadata, databases, admin pages). The ranges are those that
Python's `ipaddress` (IANA's special-purpose registries) does not call global, multicast, IPv4
addresses wrapped in IPv6 forms, and cloud services that live on public addresses.
"""

from __future__ import annotations

import ipaddress

__all__ = ["refusal"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Prefixes whose last 32 bits are an IPv4 address: NAT64 (RFC 6052) and IPv4-compatible (RFC 4291).
_WRAPPING = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
# Azure's host agent answers on a public address (Microsoft Learn, "What is IP address
# 168.63.129.16").
_CLOUD_SERVICES = {ipaddress.ip_address("168.63.129.16")}


def refusal(address: str) -> str | None:
    """Why a connection to this IP address is refused, or None when it may be made."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = _wrapped(parsed)
    if inner is not None and (reason := refusal(str(inner))) is not None:
        return reason
    if parsed in _CLOUD_SERVICES:
        return f"{address} is a cloud provider's internal service"
    kinds = {
        "a loopback": parsed.is_loopback,
        "a link-local": parsed.is_link_local,
        "a multicast": parsed.is_multicast,
        "an unspecified": parsed.is_unspecified,
        "a private": parsed.is_private or getattr(parsed, "is_site_local", False),
        "a reserved": parsed.is_reserved or not parsed.is_global,
    }
    kind = next((name for name, applies in kinds.items() if applies), None)
    return None if kind is None else f"{address} is {kind} address"


def _wrapped(address: _Address) -> _Address | None:
    """The IPv4 address that an IPv6 address carries, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _WRAPPING) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
