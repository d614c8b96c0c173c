"""Webhooks lead nowhere that only this machine's network should reach."""

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nlp_service.webhooks.address import MAX_URL_CHARS, Target, WebhookAddressError, checked_url, find_target


def target(url: str, *, private: bool = False, local: bool = True) -> Target:
    return asyncio.run(find_target(url, private=private, local=local))


def lead_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every host have these addresses."""

    def getaddrinfo(_host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "url",
    [
        "", "tool.example.org/x", "//tool.example.org/", "ftp://tool.example.org/", "file:///etc/passwd", "javascript:alert(1)", "https:///x", "https://",
        "https://user:hush@127.0.0.1/", "https://127.0.0.1/#part", "https://127.0.0.1:99999/", "https://127.0.0.1:0/", "https://127.0.0.1\x00/", "https://no such host/", "https://no-such.invalid/",
        "http://xn--/", "https://xn--a.example/", "https://\ud800.example/", "https://[::1%25lo]:x/", "https://[v1.x]/",
        "https://" + "a" * 64 + ".example/", "https://a..b/", "https://127.0.0.1/" + "x" * MAX_URL_CHARS, "gopher://127.0.0.1/",
    ],
)  # fmt: skip
def test_what_is_no_url_that_can_be_called_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(WebhookAddressError) as refused:
        target(url, private=True)
    assert "example" not in str(refused.value)
    assert "hush" not in str(refused.value)


NEVER = (
    "169.254.169.254", "169.254.0.1", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "0.1.2.3", "255.255.255.255", "240.0.0.1", "fd00:ec2::254",  # noqa: S104 -- nobody listens there
    "100.100.100.200", "168.63.129.16", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0.0.0.0", "fe80::1%1",
)  # fmt: skip
PRIVATE = (
    "10.0.0.7",
    "172.16.3.4",
    "192.168.1.1",
    "100.64.0.1",
    "fd12:3456::1",
    "::ffff:10.0.0.7",
    "64:ff9b::a00:7",
    "fec0::1",
)
LOOPBACK = ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")
PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_called(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch, address)
    with pytest.raises(WebhookAddressError, match="never called"):
        target("https://tool.example.org/x", private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_called_over_https_where_the_setting_says_so(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(monkeypatch, address)
    with pytest.raises(WebhookAddressError, match="THEMES_WEBHOOK_PRIVATE"):
        target("https://tool.example.org/x")
    assert target("https://tool.example.org/x", private=True).addresses == (str(ip_address(address)),)
    with pytest.raises(WebhookAddressError, match="another machine"):
        target("http://tool.example.org/x", private=True)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_called_over_http_too(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch, address)
    for scheme in ("http", "https"):
        assert target(f"{scheme}://localhost:9000/x").addresses == (str(ip_address(address)),)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called_over_https_alone(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch, address)
    assert target("HTTPS://Tool.Example.org:8443/x?y=1") == Target(
        target("https://tool.example.org:8443/x?y=1").url, (address,)
    )
    with pytest.raises(WebhookAddressError, match="another machine"):
        target("http://tool.example.org/x")


def test_one_bad_address_among_good_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch, *PUBLIC, "169.254.169.254")
    with pytest.raises(WebhookAddressError):
        target("https://tool.example.org/")
    lead_to(monkeypatch, "127.0.0.1", PUBLIC[0])
    with pytest.raises(WebhookAddressError, match="another machine"):
        target("http://tool.example.org/")


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1", "[::ffff:7f00:1]"])
def test_other_ways_to_write_an_address_are_the_same_address(host: str) -> None:
    assert target(f"http://{host}:9000/").addresses[0].endswith(("127.0.0.1", "7f00:1"))


_HOST = st.lists(
    st.sampled_from(["xn--", "a", "-", ".", "[", "]", "::1", "%25", "%00", "127.1", "é", "ß", "\u212a", "\ud800", "１", "@", ":", "x" * 64]),
    max_size=6,
).map("".join)  # fmt: skip
_URLS = st.one_of(
    st.text(max_size=60),
    st.builds("{}{}{}{}".format, st.sampled_from(["https://", "http://", "HTTPS:", "//"]), _HOST, st.sampled_from(["", ":0", ":65536", ":٣"]), st.text(max_size=20)),
    st.builds("https://{}/".format, st.text(max_size=40)),
)  # fmt: skip


@example(text="http://xn--/")
@given(text=_URLS)
def test_whatever_is_sent_as_a_url_is_one_that_can_be_called_or_is_refused_as_none(text: str) -> None:
    try:
        url = checked_url(text)
    except WebhookAddressError:
        return
    assert url.scheme in ("http", "https")
    assert url.host
    assert checked_url(str(url)).host.lower() == url.host.lower()  # as it is read again before each call


@example(text="http://xn--/")
@given(text=_URLS)
def test_whatever_is_sent_as_a_url_has_an_address_or_is_refused(text: str) -> None:
    real = socket.getaddrinfo

    def of_numbers(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        return real(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)  # names are asked of no server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", of_numbers)
        with contextlib.suppress(WebhookAddressError):
            assert target(text, private=True).addresses


@pytest.mark.parametrize("address", [*LOOPBACK, *PRIVATE, *PUBLIC])
def test_a_key_of_one_consultation_reaches_public_addresses_alone(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(monkeypatch, address)
    if address in PUBLIC:
        assert target("https://tool.example.org/x", local=False).addresses == (address,)
    else:
        with pytest.raises(WebhookAddressError, match="a key of all consultations"):
            target("https://tool.example.org/x", local=False)
