"""Where a webhook may lead: no address that only this machine or its network should reach, unless a setting says so."""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

import httpx

from models.vocabulary import ThemesError

MAX_URL_CHARS: Final = 2_000
MAX_PORT: Final = 65_535
LOOKUP_S: Final = 5.0
_SCHEMES: Final = ("https", "http")
_PORTS: Final = {"https": 443, "http": 80}
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_NEVER: Final = (
    ipaddress.ip_network("0.0.0.0/8"),
    ipaddress.ip_network("100.100.100.200/32"),  # where clouds keep the secrets of a machine, as below
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("fd00:ec2::254/128"),
    ipaddress.ip_network("fd20:ce::254/128"),
)
_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class WebhookAddressError(ThemesError):
    """A webhook leads to where the service does not call."""

    code = "webhook_address_refused"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, and the addresses behind its host that may be called, best first."""

    url: httpx.URL
    addresses: tuple[str, ...]


async def find_target(text: str, *, private: bool, local: bool = True) -> Target:
    """Return where a URL leads now.

    Parameters
    ----------
    text
        The URL: https, or http to this machine.
    private
        Addresses of private networks may be called.
    local
        This machine may be called.

    Raises
    ------
    WebhookAddressError
        If it is no such URL, its host has no address, or one of its addresses may not be called.
    """
    url = checked_url(text)
    addresses = await _look_up(url)
    for one in addresses:
        _check(one, url.scheme, private=private, local=local)
    return Target(url, tuple(map(str, addresses)))


def checked_url(text: str) -> httpx.URL:
    """Return the URL, in the form in which it is called; raises WebhookAddressError."""
    try:
        url = httpx.URL(text)
        found = _fault(url)
    except (httpx.InvalidURL, ValueError):  # some hosts are found to be none only when they are asked for
        found = "what was sent is no URL."
    if found is not None:
        raise _refused(found)
    return url


def _fault(url: httpx.URL) -> str | None:
    if url.scheme not in _SCHEMES or not url.host:
        return "it is no https URL with a host."
    if url.userinfo or url.fragment:
        return "the URL has a user, a password or a fragment."
    if url.port is not None and not 0 < url.port <= MAX_PORT:
        return "the URL has a port that there is not."
    if len(str(url)) > MAX_URL_CHARS:
        return f"the URL has {len(str(url))} characters."
    return None


async def _look_up(url: httpx.URL) -> tuple[_Ip, ...]:
    port = url.port or _PORTS[url.scheme]
    try:
        found = await asyncio.wait_for(
            asyncio.get_running_loop().getaddrinfo(url.raw_host.decode("ascii"), port, type=socket.SOCK_STREAM),
            LOOKUP_S,
        )
        return tuple(dict.fromkeys(ipaddress.ip_address(address[0]) for *_, address in found))
    except (OSError, ValueError, OverflowError, TimeoutError):
        raise _refused("its host has no address.") from None


def _check(ip: _Ip, scheme: str, *, private: bool, local: bool) -> None:
    one = _meant(ip)
    if one.is_loopback:
        if not local:
            raise _refused("its host is this machine, which takes a key of all consultations.")
        return
    if one.is_multicast or one.is_unspecified or one.is_link_local or one.is_reserved or any(one in n for n in _NEVER):
        raise _refused("its host leads to an address that is never called (link-local, metadata, multicast, reserved).")
    if scheme != "https":
        raise _refused("it is http, and its host is another machine.")
    if not private and not _is_public(one):
        raise _refused(
            "its host is in a private network, which takes THEMES_WEBHOOK_PRIVATE and a key of all consultations."
        )


def _is_public(ip: _Ip) -> bool:
    return ip.is_global and not (isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local)


def _meant(ip: _Ip) -> _Ip:
    """Return the address of version 4 that one of version 6 stands for, else the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _refused(found: str) -> WebhookAddressError:
    return WebhookAddressError(
        found,
        allowed="https to a public address, or to a private one where THEMES_WEBHOOK_PRIVATE says so; http or https to this machine. "
        "With a key of one consultation: https to a public address alone.",
        next_step="register another address, or ask whoever runs the service.",
    )
