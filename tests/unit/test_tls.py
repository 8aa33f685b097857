"""Certificates: what may serve, and what is said about what may not."""

from __future__ import annotations

import datetime
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from earhook.edge.settings import TlsSettings
from earhook.edge.tls import ServerCertificate, load_context
from earhook.errors import ConfigurationError


class StoppedClock:
    """A clock that stands where it is put."""

    def __init__(self, wall: float) -> None:
        self.wall = wall

    def wall_seconds(self) -> float:
        return self.wall

    def monotonic_seconds(self) -> float:
        return 0.0


@pytest.fixture
def files(certificate_authority: trustme.CA, tmp_path: Path) -> TlsSettings:
    write(certificate_authority.issue_cert("gateway.example"), tmp_path)
    return TlsSettings(certificate=tmp_path / "crt", private_key=tmp_path / "key")


def write(issued: trustme.LeafCert, directory: Path) -> None:
    issued.cert_chain_pems[0].write_to_path(directory / "crt")
    issued.private_key_pem.write_to_path(directory / "key")


def fault(settings: TlsSettings, wall_seconds: float | None = None) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_context(settings, wall_seconds or time.time())
    (only,) = raised.value.faults
    assert only.remedy
    return str(only)


def test_a_good_pair_serves_and_tells_its_facts(files: TlsSettings) -> None:
    context, facts = load_context(files, time.time())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert facts.names == ("gateway.example",)
    assert facts.expires_wall_seconds > time.time()
    assert facts.chain_length == 1


def test_only_ecdhe_with_aead_is_offered(files: TlsSettings) -> None:
    context, _ = load_context(files, time.time())
    for cipher in context.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-")
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_a_missing_file_is_named(files: TlsSettings) -> None:
    files.private_key.unlink()
    assert "No such file" in fault(files)
    assert str(files.private_key) in fault(files)
    files.certificate.unlink()
    assert str(files.certificate) in fault(files)


def test_a_file_that_is_no_certificate_is_named(files: TlsSettings) -> None:
    files.certificate.write_text("hello")
    assert "no PEM certificate" in fault(files)


def test_a_key_of_another_certificate_is_refused(
    files: TlsSettings, certificate_authority: trustme.CA
) -> None:
    other = certificate_authority.issue_cert("gateway.example")
    other.private_key_pem.write_to_path(files.private_key)
    assert "does not belong" in fault(files)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    files: TlsSettings,
) -> None:
    key = serialization.load_pem_private_key(files.private_key.read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    files.private_key.write_bytes(encrypted)
    assert "is encrypted" in fault(files)


def test_an_expired_certificate_is_refused(files: TlsSettings) -> None:
    assert "expired on" in fault(files, time.time() + 1100 * 365 * 86_400)


def test_a_certificate_of_the_future_is_refused(
    tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    write(certificate_authority.issue_cert("gateway.example", not_before=tomorrow), tmp_path)
    settings = TlsSettings(certificate=tmp_path / "crt", private_key=tmp_path / "key")
    assert "not valid before" in fault(settings)


def test_authorities_of_clients_must_be_readable(files: TlsSettings, tmp_path: Path) -> None:
    missing = files.model_copy(update={"client_ca": tmp_path / "missing"})
    assert str(tmp_path / "missing") in fault(missing)
    (tmp_path / "empty").write_text("")
    assert "no PEM certificate" in fault(files.model_copy(update={"client_ca": tmp_path / "empty"}))


def test_mutual_tls_demands_a_certificate(
    files: TlsSettings, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    certificate_authority.cert_pem.write_to_path(tmp_path / "ca")
    context, _ = load_context(files.model_copy(update={"client_ca": tmp_path / "ca"}), time.time())
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_clients_may_be_asked_and_still_come_without(
    files: TlsSettings, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    certificate_authority.cert_pem.write_to_path(tmp_path / "ca")
    wanted = {"client_ca": tmp_path / "ca", "client_certificates": "optional"}
    context, _ = load_context(files.model_copy(update=wanted), time.time())
    assert context.verify_mode is ssl.CERT_OPTIONAL


def test_a_fault_names_the_door_it_is_at(files: TlsSettings) -> None:
    files.certificate.write_text("garbage")
    with pytest.raises(ConfigurationError, match=r"^ingest\.tls\.certificate "):
        load_context(files, time.time(), "ingest.tls")
    with pytest.raises(ConfigurationError, match=r"^ingest\.tls\.certificate "):
        ServerCertificate(files, StoppedClock(time.time()), "ingest.tls")


@pytest.mark.parametrize("content", ["", "hello", "-----BEGIN PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_told_in_words(files: TlsSettings, content: str) -> None:
    files.private_key.write_text(content)
    told = fault(files)
    assert "no usable PEM key" in told
    assert "None" not in told


def test_what_was_prepared_changes_nothing_until_it_is_put_in_service(
    files: TlsSettings, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    certificate = ServerCertificate(files, StoppedClock(time.time()))
    before = certificate.context
    (tmp_path / "next").mkdir()
    write(certificate_authority.issue_cert("next.example"), tmp_path / "next")
    settings = TlsSettings(
        certificate=tmp_path / "next" / "crt", private_key=tmp_path / "next" / "key"
    )
    commit = certificate.prepare(settings)
    assert (certificate.context, certificate.facts.names) == (before, ("gateway.example",))
    settings.certificate.unlink()  # it is read; what becomes of the file is all the same
    commit()
    assert certificate.context is not before
    assert certificate.facts.names == ("next.example",)
    with pytest.raises(ConfigurationError, match=str(settings.certificate)):
        certificate.reload()


@pytest.mark.parametrize("kind", ["same", "other"])
def test_a_renewed_certificate_serves_whatever_its_key_type(
    files: TlsSettings, certificate_authority: trustme.CA, kind: str
) -> None:
    certificate = ServerCertificate(files, StoppedClock(time.time()))
    before = certificate.context
    types = {"same": trustme.KeyType.ECDSA, "other": trustme.KeyType.RSA}
    renewed = certificate_authority.issue_cert("renewed.example", key_type=types[kind])
    write(renewed, files.certificate.parent)
    assert certificate.reload().names == ("renewed.example",)
    assert certificate.context is not before


@pytest.mark.parametrize("damage", ["mismatch", "missing", "garbage", "expired"])
def test_a_bad_reload_leaves_the_old_certificate_in_service(
    files: TlsSettings, certificate_authority: trustme.CA, damage: str
) -> None:
    clock = StoppedClock(time.time())
    certificate = ServerCertificate(files, clock)
    before = certificate.context, certificate.facts
    damages: dict[str, Any] = {
        "mismatch": lambda: certificate_authority.issue_cert("x").private_key_pem.write_to_path(
            files.private_key
        ),
        "missing": files.certificate.unlink,
        "garbage": lambda: files.certificate.write_text("garbage"),
        "expired": lambda: setattr(clock, "wall", time.time() + 1100 * 365 * 86_400),
    }
    damages[damage]()
    with pytest.raises(ConfigurationError):
        certificate.reload()
    assert (certificate.context, certificate.facts) == before
