"""The doctor's pure parts: URLs, names of certificates, what may be shown, whom it believes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from cryptography import x509

from earhook.doctor import Authorities, Step, Target, Verdict
from earhook.doctor.chain import check_names, walk
from earhook.doctor.clock import Window
from earhook.doctor.finding import shown
from earhook.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "authority", "target", "told"),
    [
        ("wss://a.example/x", "a.example", "/x", "wss://a.example/x"),
        ("wss://a.example:443", "a.example", "/", "wss://a.example/"),
        ("ws://a.example:443/", "a.example:443", "/", "ws://a.example:443/"),
        ("https://[2001:db8::1]:8444/s?k=v", "[2001:db8::1]:8444", "/s?k=v", None),
        ("wss://a.example/x?key=canary", "a.example", "/x?key=canary", "wss://a.example/x?…"),
    ],
)
def test_urls(url: str, authority: str, target: str, told: str | None) -> None:
    parsed = Target.parse(url)
    assert (parsed.authority, parsed.request_target) == (authority, target)
    assert told is None or parsed.shown == told
    assert "canary" not in repr(parsed)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "ftp://a",
        "wss://",
        "wss://a:b",
        "wss://u:canary@a/",
        "wss://ä/",
        "wss://a/ b",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Target.parse(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "host", "verdict"),
    [
        (["a.example"], "A.example", Verdict.FINE),
        (["a.example"], "a.example.", Verdict.FINE),
        (["*.example"], "a.example", Verdict.FINE),
        (["*.example"], "example", Verdict.WRONG),
        (["*.example"], "b.a.example", Verdict.WRONG),
        (["a.example"], "ba.example", Verdict.WRONG),
        (["127.0.0.1"], "127.0.0.1", Verdict.FINE),
        (["127.0.0.1"], "127.0.0.2", Verdict.WRONG),
        (["::1"], "0:0:0:0:0:0:0:1", Verdict.FINE),
    ],
)
def test_names(
    certificate_authority: trustme.CA, names: list[str], host: str, verdict: Verdict
) -> None:
    pem = certificate_authority.issue_cert(*names).cert_chain_pems[0].bytes()
    finding = check_names(x509.load_pem_x509_certificate(pem), host)
    assert (finding.step, finding.verdict) == (Step.NAMES, verdict)


def test_a_namesake_of_an_authority_is_none() -> None:
    real, false = trustme.CA(organization_name="Same"), trustme.CA(organization_name="Same")
    leaf = x509.load_pem_x509_certificate(false.issue_cert("a.example").cert_chain_pems[0].bytes())
    root = x509.load_pem_x509_certificate(real.cert_pem.bytes())
    assert walk([leaf], [root]).anchor is None


def test_what_others_wrote_is_fit_for_a_terminal() -> None:
    assert shown("a\x1b[2Jb\nc") == "a?[2Jb?c"
    assert len(shown("x" * 1000)) < 200


def test_a_window_in_words() -> None:
    assert Window(-12, 3).words == "-12 s to +3 s"
    assert Window(None, None).words == "any time to any time"


def test_the_public_list_says_where_it_is_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    certificate_authority.cert_pem.write_to_path(tmp_path / "list.pem")
    certifi = SimpleNamespace(where=lambda: str(tmp_path / "list.pem"), __version__="2026.1")
    monkeypatch.setitem(sys.modules, "certifi", certifi)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert Authorities.public().origin == "certifi 2026.1 (Mozilla's list)"
    assert len(Authorities.public().certificates) == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "list.pem"))
    assert Authorities.public().origin == f"this machine's list ({tmp_path / 'list.pem'})"
    monkeypatch.setitem(sys.modules, "certifi", None)
    monkeypatch.delenv("SSL_CERT_FILE")
    assert Authorities.public().origin.startswith("this machine's list (")
