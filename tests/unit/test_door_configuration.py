"""Sections of the second door and of the edge: what is a fault, what is checked, what is shown."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.clock import SystemClock
from earhook.config.checks import Finding, Level, examine
from earhook.config.checks.access import check_access
from earhook.config.checks.ingest import check_ingest_credentials
from earhook.config.checks.machine import check_machine, most_calls, needed_descriptors
from earhook.config.load import load_configuration
from earhook.config.printed import printed
from earhook.config.rules import ingest_tls, require_servable
from earhook.config.schema import Configuration
from earhook.config.starter import starter_text
from earhook.errors import ConfigurationError
from earhook.testing.clock import ManualClock

CANARY = "canary-1b7f-0123456789"
KEY = '[[keys]]\napi_key = "k"\nsecrets = ["c2VjcmV0"]\n'
CLOCK = SystemClock()


def loaded(directory: Path, text: str) -> Configuration:
    file = directory / "earhook.toml"
    file.write_text(text)
    return load_configuration(file, {})


def fault_of(directory: Path, text: str) -> tuple[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(directory, text)
    (fault,) = caught.value.faults
    return fault.where.partition("earhook.toml:")[2], f"{fault.what} {fault.remedy}"


def bad(findings: Any) -> dict[str, Finding]:
    return {found.where: found for found in findings if found.level is not Level.FINE}


def certificate_files(directory: Path, authority: trustme.CA) -> dict[str, Path]:
    leaf = authority.issue_cert("gateway.example")
    (directory / "server.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
    (directory / "server.key").write_bytes(leaf.private_key_pem.bytes())
    (directory / "server.key").chmod(0o600)
    return {
        "certificate": directory / "server.crt",
        "private_key": directory / "server.key",
    }


def test_without_the_tables_there_is_neither_a_second_door_nor_a_list() -> None:
    configuration = Configuration()
    assert configuration.ingest is None
    assert configuration.access is None
    assert configuration.proxies is None
    assert configuration.redirect is None
    assert configuration.shedding.enabled


def test_the_ingest_serves_with_its_own_certificate_or_that_of_the_media_port(
    tmp_path: Path,
) -> None:
    pair = 'certificate = "{0}.crt"\nprivate_key = "{0}.key"\n'
    both = f"[media.tls]\n{pair.format('m')}[ingest.tls]\n{pair.format('i')}"
    one = f"[media.tls]\n{pair.format('m')}[ingest]\n"
    for text, name in ((both, "i.crt"), (one, "m.crt")):
        configuration = loaded(tmp_path, text)
        assert configuration.ingest is not None
        found = ingest_tls(configuration.ingest, configuration.media)
        assert found is not None
        assert found.certificate == tmp_path / name
    plain = loaded(tmp_path, f"{one}plaintext = true\n")
    assert plain.ingest is not None
    assert ingest_tls(plain.ingest, plain.media) is None


def test_an_ingest_without_a_certificate_must_say_that_it_means_it(tmp_path: Path) -> None:
    where, text = fault_of(tmp_path, "[ingest]\n")
    assert where == "1: ingest"
    assert "plaintext = true" in text
    loaded(tmp_path, "[ingest]\nplaintext = true\n")
    tls = '[ingest.tls]\ncertificate = "a"\nprivate_key = "b"\n'
    where, text = fault_of(tmp_path, f"[ingest]\nplaintext = true\n{tls}")
    assert where == "2: ingest.plaintext"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[media]\nport = 9090\n", "admin.port"),
        ("[ingest]\nport = 8443\nplaintext = true\n", "2: ingest.port"),
        ("[ingest]\nport = 9090\nplaintext = true\n", "admin.port"),
        ('[redirect]\nport = 8443\nlocation = "a"\n', "2: redirect.port"),
    ],
)
def test_no_two_sections_listen_on_one_port(text: str, where: str, tmp_path: Path) -> None:
    found, what = fault_of(tmp_path, text)
    assert found.endswith(where) or where in what or found == ""
    assert "both listen on port" in what


def test_ports_that_the_system_chooses_never_collide(tmp_path: Path) -> None:
    loaded(tmp_path, "[media]\nport = 0\n[ingest]\nport = 0\nplaintext = true\n[admin]\nport = 0\n")


def test_tokens_alone_make_a_gateway_that_somebody_can_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        require_servable(loaded(tmp_path, "[ingest]\nplaintext = true\n"))
    token = f'[[ingest.tokens]]\nname = "t"\ntoken = "{CANARY}"\n'
    require_servable(loaded(tmp_path, f"[ingest]\nplaintext = true\n{token}"))


def test_no_secret_of_the_ingest_is_printed_and_paths_are_anchored(tmp_path: Path) -> None:
    text = f"""\
[ingest]
plaintext = true
[[ingest.tokens]]
name = "sender"
token = "{CANARY}"
expires = 2030-01-31
[[ingest.tokens]]
name = "sender"
token_file = "tokens/next"
[[ingest.encryption_keys]]
key_id = "k1"
key = "{CANARY}"
[access]
networks_file = "networks"
[access.ip_ranges]
url = "https://api.example/api/v2/ipranges"
"""
    configuration = loaded(tmp_path, text)
    shown = printed(configuration)
    assert CANARY not in shown
    assert f'token_file = "{tmp_path}/tokens/next"' in shown
    assert f'networks_file = "{tmp_path}/networks"' in shown
    assert f'copy_file = "{tmp_path}/ip-ranges.json"' in shown
    assert 'expires = "2030-01-31"' in shown


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[shedding]\ncpu_percent = 0\n", "2: shedding.cpu_percent"),
        ("[shedding]\nmemory_percent = 101\n", "2: shedding.memory_percent"),
        ('[shedding]\nprobes = "maybe"\n', "2: shedding.probes"),
        ("[access.ip_ranges]\nrefresh_hours = 1\n", "1: access.ip_ranges.url"),
        ('[access.ip_ranges]\nurl = "https://a"\nservices = []\n', "3: access.ip_ranges.services"),
    ],
)
def test_a_value_that_makes_no_sense_is_a_fault_with_its_place(
    text: str, where: str, tmp_path: Path
) -> None:
    assert fault_of(tmp_path, text)[0] == where


@pytest.mark.parametrize(
    "expires", ['"soon"', '"20261231"', "12", "2026-12-31T12:00:00", "12:00:00"]
)
def test_the_end_of_a_token_is_a_date_or_a_clear_time(expires: str, tmp_path: Path) -> None:
    table = f'[[ingest.tokens]]\nname = "t"\ntoken = "{CANARY}"\nexpires = {expires}\n'
    where, said = fault_of(tmp_path, f"[ingest]\nplaintext = true\n{table}")
    assert where.endswith("ingest.tokens[0].expires")
    assert "2026-12-31T12:00:00Z" in said


def test_no_regular_expression_is_shown_to_people(tmp_path: Path) -> None:
    _, said = fault_of(tmp_path, '[redirect]\nlocation = "https://x/y"\n')
    assert said.startswith("is malformed, not 'https://x/y' Host, and port")


def test_the_starter_shows_the_second_door_and_leaves_it_shut() -> None:
    text = starter_text()
    for table in ("# [ingest]", "# [[ingest.tokens]]", "# [access]", "# [media.tls]"):
        assert f"\n{table}\n" in text
    for table in ("[media]", "[admin]", "[[keys]]"):
        assert f"\n{table}\n" in text


class TestChecks:
    """`earhook check`."""

    def test_every_port_and_certificate_is_tried(
        self, tmp_path: Path, certificate_authority: trustme.CA
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            configuration = Configuration.model_validate(
                {
                    "media": {"host": "127.0.0.1", "port": 0},
                    "ingest": {
                        "host": "127.0.0.1",
                        "port": port,
                        "tls": certificate_files(tmp_path, certificate_authority)
                        | {"certificate": tmp_path / "absent.crt"},
                    },
                    "redirect": {"host": "127.0.0.1", "port": port, "location": "a.example"},
                    "admin": {"port": 0},
                    "keys": [{"api_key": "k", "unsigned": True}],
                }
            )
            found = bad(examine(configuration, CLOCK, offline=True))
        assert found["ingest.port"].level is Level.WRONG
        assert found["redirect.port"].level is Level.WRONG
        assert found[f"ingest.tls.certificate {tmp_path}/absent.crt"].level is Level.WRONG

    @pytest.mark.parametrize(("host", "findings"), [("127.0.0.1", 0), ("0.0.0.0", 1)])
    def test_audio_in_the_clear_is_pointed_out(
        self, host: str, findings: int, tmp_path: Path
    ) -> None:
        text = f'{KEY}[media]\nhost = "127.0.0.1"\n[ingest]\nhost = "{host}"\nplaintext = true\n'
        found = bad(examine(loaded(tmp_path, text), CLOCK, offline=True, running=True))
        assert ("ingest" in found) is bool(findings)

    def test_tokens_keys_and_issuers_are_read(self, tmp_path: Path) -> None:
        text = f"""\
[ingest]
plaintext = true
encryption = "required"
[[ingest.tokens]]
name = "old"
token = "{CANARY}"
expires = 2025-12-31
[[ingest.tokens]]
name = "soon"
token = "{CANARY}-2"
expires = 2026-01-05
[[ingest.tokens]]
name = "good"
token_file = "wide"
"""
        (tmp_path / "wide").write_text(f"{CANARY}-3")
        (tmp_path / "wide").chmod(0o644)
        configuration = loaded(tmp_path, text)
        found = bad(check_ingest_credentials(configuration, ManualClock(), offline=True))
        assert "expired" in found["ingest.tokens[0]"].what
        assert "expires in" in found["ingest.tokens[1]"].what
        assert found[str(tmp_path / "wide")].remedy == "chmod 600"
        assert "no key to decrypt" in found["ingest.encryption"].what
        assert CANARY not in str(found)
        (tmp_path / "wide").unlink()
        found = bad(check_ingest_credentials(configuration, ManualClock(), offline=True))
        assert found["ingest.tokens[2].token_file"].level is Level.WRONG

    def test_whoever_serves_the_keys_of_an_issuer_is_dialled(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/jwks"
            issuer = f'name = "i"\nissuer = "i"\naudience = "a"\njwks_url = "{url}"\n'
            text = f"[ingest]\nplaintext = true\n[[ingest.issuers]]\n{issuer}"
            configuration = loaded(tmp_path, text)
            assert bad(check_ingest_credentials(configuration, CLOCK, offline=False)) == {}
        found = bad(check_ingest_credentials(configuration, CLOCK, offline=False))
        assert found["ingest.issuers[0].jwks_url"].level is Level.WRONG

    def test_lists_of_networks_are_read_and_an_empty_one_is_pointed_out(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "networks").write_text("192.0.2.0/24 # ours\n\n2001:db8::/32\n")
        listed = loaded(tmp_path, '[access]\nnetworks_file = "networks"\n')
        (finding,) = check_access(listed, offline=True)
        assert finding.what == "2 networks may connect"
        (tmp_path / "networks").write_text("everybody\n")
        assert any(f.level is Level.WRONG for f in check_access(listed, offline=True))
        (finding,) = check_access(loaded(tmp_path, "[access]\n"), offline=True)
        assert "nobody may connect" in finding.what
        assert list(check_access(Configuration(), offline=True)) == []

    def test_what_the_published_networks_need_is_checked(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as api:
            port = api.getsockname()[1]
            table = f'[access.ip_ranges]\nurl = "http://127.0.0.1:{port}/api/v2/ipranges"\n'
            configuration = loaded(tmp_path, table)
            assert bad(check_access(configuration, offline=False)) == {}
            more = 'token_file = "absent"\ncopy_file = "absent/copy.json"\n'
            found = bad(check_access(loaded(tmp_path, table + more), offline=True))
        assert set(found) == {"access.ip_ranges.token_file", "access.ip_ranges.copy_file"}
        found = bad(check_access(configuration, offline=False))
        assert found["access.ip_ranges.url"].level is Level.WRONG
        plain = loaded(tmp_path, '[access.ip_ranges]\nurl = "http://api.example/x"\n')
        assert bad(check_access(plain, offline=True))

    def test_a_balancer_that_hides_clients_from_the_list_is_pointed_out(
        self, tmp_path: Path
    ) -> None:
        text = (
            '[access]\nnetworks = ["192.0.2.0/24"]\n[limits.connections]\n'
            'shared_addresses = ["10.0.0.0/8"]\n'
        )
        assert "balancer" in bad(check_access(loaded(tmp_path, text), offline=True))["access"].what
        proxies = '[proxies]\nnetworks = ["10.0.0.0/8"]\nprotocol = "proxy"\n'
        assert bad(check_access(loaded(tmp_path, text + proxies), offline=True)) == {}

    @pytest.mark.parametrize(
        ("network", "count"), [("0.0.0.0/0", 1), ("::/0", 1), ("10.0.0.0/8", 0)]
    )
    def test_a_proxy_that_is_everybody_is_wrong(
        self, network: str, count: int, tmp_path: Path
    ) -> None:
        text = f'[proxies]\nnetworks = ["{network}"]\nprotocol = "x-forwarded-for"\n'
        found = bad(check_access(loaded(tmp_path, text), offline=True))
        assert len(found) == count
        if count:
            assert found["proxies.networks"].level is Level.WRONG

    def test_both_doors_count_for_files_and_rings(self) -> None:
        one = Configuration.model_validate({"media": {"max_calls": 100}})
        two = Configuration.model_validate(
            {
                "media": {"max_calls": 100},
                "ingest": {"max_calls": 50, "rate": 16000, "plaintext": True},
                "ring": {"budget_mib": 10},
            }
        )
        assert (most_calls(one), most_calls(two)) == (100, 150)
        assert needed_descriptors(two) > needed_descriptors(one)
        found = {finding.where: finding for finding in check_machine(two, CLOCK)}
        # 100 rings of 64,000 bytes and 50 of 128,000
        assert "budget_mib = 13" in found["ring.budget_mib"].remedy

    def test_rings_that_leave_no_memory_for_calls_are_pointed_out(self) -> None:
        tight = Configuration.model_validate(
            {
                "ring": {"budget_mib": 100},
                "shedding": {"memory_mib": 100},
                "media": {"max_calls": 1},
            }
        )
        assert "new calls are refused" in bad(check_machine(tight, CLOCK))["ring.budget_mib"].what
        vain = Configuration.model_validate({"shedding": {"memory_mib": 1 << 30}})
        assert "shedding.memory_mib" in bad(check_machine(vain, CLOCK))
