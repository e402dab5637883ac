"""Addresses that media may not be fetched from, in every disguise."""

from __future__ import annotations

import pytest

from sensorium.serving.media.addresses import refusal


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("fd00:ec2::254", "private"),
        ("fec0::1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.100.100.200", "reserved"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "private"),
        ("240.0.0.1", "private"),
        ("192.0.2.1", "private"),
        ("168.63.129.16", "cloud"),
        ("::ffff:127.0.0.1", "127.0.0.1 is a loopback"),
        ("::ffff:169.254.169.254", "169.254.169.254 is a link-local"),
        ("::7f00:1", "127.0.0.1 is a loopback"),
        ("64:ff9b::a00:1", "10.0.0.1 is a private"),
        ("2002:7f00:1::", "127.0.0.1 is a loopback"),
        ("64:ff9b::808:808", "reserved"),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "10.0.0.1 is a private"),
    ],
)
def test_refused(address: str, kind: str) -> None:
    reason = refusal(address)
    assert reason is not None
    assert kind in reason


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111"])
def test_allowed(address: str) -> None:
    assert refusal(address) is None
