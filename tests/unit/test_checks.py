"""`earhook check`: every subject finds what is wrong with it, and nothing where all is well."""

from __future__ import annotations

import datetime
import resource
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest
import trustme

from earhook.clock import SystemClock
from earhook.config.checks import Finding, Level, examine
from earhook.config.checks.certificates import check_certificates, check_clear_text
from earhook.config.checks.machine import check_machine
from earhook.config.checks.network import check_connect, check_listen
from earhook.config.load import load_configuration
from earhook.config.schema import Configuration
from earhook.config.starter import write_starter
from earhook.edge.settings import TlsSettings
from earhook.transport.settings import MediaSettings

CLOCK = SystemClock()


class OldClock(SystemClock):
    """A machine that has lost its time."""

    @staticmethod
    def wall_seconds() -> float:
        return 0.0


def bad(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level is not Level.FINE]


def tls(
    directory: Path, certificate: trustme.LeafCert, *, client_ca: trustme.CA | None = None
) -> MediaSettings:
    files = TlsSettings(
        certificate=directory / "server.crt",
        private_key=directory / "server.key",
        client_ca=directory / "ca.crt" if client_ca else None,
    )
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    files.certificate.write_bytes(chain)
    files.private_key.write_bytes(certificate.private_key_pem.bytes())
    files.private_key.chmod(0o600)
    if client_ca is not None:
        (directory / "ca.crt").write_bytes(client_ca.cert_pem.bytes())
    return MediaSettings(tls=files)


def checked(media: MediaSettings) -> list[Finding]:
    assert media.tls is not None
    return list(check_certificates("media.tls", media.tls, CLOCK))


def test_a_starter_configuration_has_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    starter = write_starter(tmp_path / "earhook.toml")
    environment = {"EARHOOK__MEDIA__PORT": "0", "EARHOOK__ADMIN__PORT": "0"}
    configuration = load_configuration(starter.configuration, environment)
    findings = examine(configuration, CLOCK, offline=True)
    assert [finding for finding in findings if finding.level is Level.WRONG] == []
    assert {finding.where for finding in findings} >= {"keys", "media.port", "clock"}


def test_all_faults_of_all_subjects_come_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        configuration = Configuration.model_validate(
            {
                "media": {
                    "host": "127.0.0.1",
                    "port": port,
                    "tls": {"certificate": tmp_path / "no.crt", "private_key": tmp_path / "no.key"},
                },
                "admin": {"port": port, "token_file": tmp_path / "no.token"},
            }
        )
        findings = examine(configuration, OldClock(), offline=True)
    wrong = {finding.where.split()[0] for finding in findings if finding.level is Level.WRONG}
    assert wrong >= {
        "keys",
        "media.port",
        "media.tls.certificate",
        "admin.port",
        "admin.token_file",
        "clock",
    }
    assert all(finding.remedy for finding in bad(findings))


def test_a_port_in_use_is_a_fault_and_a_free_one_is_left_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert check_listen("x", "127.0.0.1", port).level is Level.WRONG
        assert check_connect("x", "127.0.0.1", port).level is Level.FINE
    assert check_listen("x", "127.0.0.1", port).level is Level.FINE
    assert check_listen("x", "127.0.0.1", port).level is Level.FINE
    assert check_connect("x", "127.0.0.1", port).level is Level.WRONG


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_a_fault(host: str) -> None:
    finding = check_listen("x", host, 0)
    assert finding.level is Level.WRONG
    assert finding.remedy


def test_a_private_certificate_serves_and_is_pointed_out(
    tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    media = tls(tmp_path, certificate_authority.issue_cert("gateway.example"))
    (finding,) = bad(checked(media))
    assert finding.level is Level.DOUBTFUL
    assert "authority" in finding.what


def test_a_certificate_that_ends_soon_is_pointed_out(
    tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
    media = tls(tmp_path, certificate_authority.issue_cert("a.example", not_after=soon))
    assert "expires in 2 days" in " ".join(finding.what for finding in bad(checked(media)))


def test_certificates_in_the_wrong_order_are_a_fault(
    tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    lower = certificate_authority.create_child_ca()
    media = tls(tmp_path, lower.issue_cert("a.example"))
    assert media.tls is not None
    leaf, issuer = media.tls.certificate.read_text().split("-----END CERTIFICATE-----\n")[:2]
    stranger = trustme.CA().cert_pem.bytes().decode()
    end = "-----END CERTIFICATE-----\n"
    media.tls.certificate.write_text(leaf + end + stranger + issuer + end)
    wrong = [f for f in checked(media) if f.level is Level.WRONG]
    assert "issued" in wrong[0].what


def test_an_authority_of_clients_is_counted(
    tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    leaf = certificate_authority.issue_cert("a.example")
    media = tls(tmp_path, leaf, client_ca=certificate_authority)
    assert any("1 authorit" in finding.what for finding in checked(media))


def test_a_key_that_everybody_reads_is_pointed_out(
    tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    media = tls(tmp_path, certificate_authority.issue_cert("a.example"))
    assert media.tls is not None
    media.tls.private_key.chmod(0o644)
    assert any("every user" in finding.what for finding in checked(media))


def test_plain_websockets_beyond_this_machine_are_pointed_out() -> None:
    assert bad(check_clear_text("media", "ws://", "0.0.0.0"))
    assert not bad(check_clear_text("media", "ws://", "127.0.0.1"))


def test_more_calls_than_open_files_are_pointed_out() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    calls = 10_000_000 if hard == resource.RLIM_INFINITY else hard + 1
    configuration = Configuration.model_validate({"media": {"max_calls": calls}})
    findings = {finding.where: finding for finding in check_machine(configuration, CLOCK)}
    if hard != resource.RLIM_INFINITY:
        assert findings["media.max_calls"].level is Level.DOUBTFUL
    assert findings["ring.budget_mib"].level is Level.DOUBTFUL
    assert "budget_mib = " in findings["ring.budget_mib"].remedy


def test_a_clock_before_this_program_existed_is_a_fault() -> None:
    findings = {finding.where: finding for finding in check_machine(Configuration(), OldClock())}
    assert findings["clock"].level is Level.WRONG


def test_beside_a_running_gateway_its_ports_and_sockets_are_left_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        host, _, port = address.partition(":")
        configuration = Configuration.model_validate(
            {
                "media": {"host": host, "port": port},
                "admin": {"host": host, "port": port},
                "keys": [{"api_key": "k", "unsigned": True}],
                "sinks": [{"kind": "pcm-stream", "listen": f"tcp:{address}"}],
            }
        )
        beside = examine(configuration, CLOCK, offline=True, running=True)
        alone = examine(configuration, CLOCK, offline=True)
    assert [finding for finding in beside if finding.level is Level.WRONG] == []
    assert len([finding for finding in alone if finding.level is Level.WRONG]) == 3
