"""Names, ports, TLS, certificates: every verdict from a server that really is so."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earhook.doctor import Authorities, Errand, Finding, Step, Target, Trust, Verdict
from earhook.doctor.network import check_tcp

from .certificates import DAY, INTERMEDIATE, LEAF, NOW, ROOT, Issued, issue, serving
from .servers import UNAUTHORIZED, answering, closed_port, listening, silent, through
from .ward import CREDENTIAL, PUBLIC, QUICK, examined, verdicts

Run = Callable[[Coroutine[Any, Any, Any]], Any]
CERTIFICATE = (Step.CHAIN, Step.NAMES, Step.EXPIRY)
FINE, DOUBTFUL, WRONG, SKIPPED = Verdict.FINE, Verdict.DOUBTFUL, Verdict.WRONG, Verdict.SKIPPED


async def before(context: ssl.SSLContext, **wishes: Any) -> dict[Step, Finding]:
    """Examine a TLS server that refuses everybody."""
    async with listening(answering(UNAUTHORIZED), context) as port:
        return await examined(f"wss://localhost:{port}/audiohook", **wishes)


def test_a_name_that_nobody_has(run: Run) -> None:
    found = run(examined("wss://gateway.invalid/audiohook"))
    assert found[Step.NAME].verdict is WRONG
    rest = [found[step] for step in Step if step is not Step.NAME]
    assert {finding.verdict for finding in rest} == {SKIPPED}
    assert {finding.evidence for finding in rest} == {"the name leads nowhere"}


def test_a_closed_port(run: Run) -> None:
    found = run(examined(f"wss://127.0.0.1:{closed_port()}/audiohook"))
    assert found[Step.TCP].verdict is WRONG
    assert "nothing listens on port" in found[Step.TCP].evidence
    assert found[Step.TLS].verdict is SKIPPED


def test_one_dead_address_among_several(run: Run) -> None:
    async def scenario() -> None:
        async with listening(silent) as port:
            errand = Errand(target=Target.parse("wss://localhost/"), trust=PUBLIC, limits=QUICK)
            ports = (closed_port(), port)
            endpoints = [(socket.AF_INET, ("127.0.0.1", one)) for one in ports]
            finding, reached = await check_tcp(errand, endpoints)
            assert finding.verdict is DOUBTFUL
            assert "127.0.0.1 refuses" in finding.evidence
            assert reached is not None
            assert reached.endpoint == endpoints[1]

    run(scenario())


def test_an_address_that_is_not_of_the_internet_is_pointed_out(run: Run) -> None:
    found = run(before(serving()))
    assert found[Step.NAME].verdict is DOUBTFUL
    assert "no address of the internet" in found[Step.NAME].evidence


def test_a_silent_port(run: Run) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with listening(silent) as port:
            limits = replace(QUICK, patience_seconds=0.3)
            return await examined(f"wss://localhost:{port}/", limits=limits)

    found = run(scenario())
    assert found[Step.TLS].verdict is WRONG
    assert "not a byte" in found[Step.TLS].evidence
    assert found[Step.HTTP].verdict is SKIPPED


def test_a_port_without_tls(run: Run) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with listening(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
            limits = replace(QUICK, patience_seconds=1.0)
            return await examined(f"wss://localhost:{port}/", limits=limits)

    # The greeting of TLS has no end of a head in it: such a server waits, or answers at once.
    assert run(scenario())[Step.TLS].verdict is WRONG

    async def quick(reader: Any, writer: Any) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    async def closing(reader: Any, writer: Any) -> None:
        if (await reader.read(4)).startswith(b"HEAD"):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def other() -> list[str]:
        seen = []
        for serve in (quick, closing):
            async with listening(serve) as port:
                found = await examined(f"wss://localhost:{port}/")
                assert found[Step.TLS].verdict is WRONG
                seen.append(found[Step.TLS].evidence)
        return seen

    assert run(other()) == ["plain HTTP is spoken on this port, no TLS"] * 2


def test_tls_where_none_was_expected(run: Run) -> None:
    async def scenario() -> dict[Step, Finding]:
        async with listening(answering(UNAUTHORIZED), serving()) as port:
            return await examined(f"ws://localhost:{port}/")

    found = run(scenario())
    assert found[Step.HTTP].verdict is WRONG
    assert "TLS is spoken" in found[Step.HTTP].evidence
    assert "wss://" in found[Step.HTTP].cure


def test_a_slow_handshake(run: Run) -> None:
    async def scenario() -> tuple[Finding, Finding]:
        async with listening(answering(UNAUTHORIZED), serving()) as port:
            async with listening(through(port, delay_seconds=0.15)) as slow:
                url = f"wss://localhost:{slow}/"
                short = replace(QUICK, handshake_seconds=0.1)
                wide = replace(QUICK, handshake_seconds=0.6)
                late = await examined(url, limits=short)
                near = await examined(url, limits=wide)
                return late[Step.TLS], near[Step.TLS]

    late, near = run(scenario())
    assert (late.verdict, near.verdict) == (WRONG, DOUBTFUL)
    assert "more than 0.1 s" in late.evidence
    assert late.figures["connect_and_handshake_seconds"] > 0.15


def versions(least: ssl.TLSVersion, most: ssl.TLSVersion) -> ssl.SSLContext:
    context = serving()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = least, most
    return context


@pytest.mark.parametrize(
    ("least", "most", "verdict", "word"),
    [
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, FINE, "TLSv1.3, TLSv1.2"),
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, FINE, "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, DOUBTFUL, "TLSv1.3"),
        (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_3, DOUBTFUL, "TLSv1.1"),
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, WRONG, "TLSv1.1, TLSv1"),
    ],
)
def test_versions(
    run: Run, least: ssl.TLSVersion, most: ssl.TLSVersion, verdict: Verdict, word: str
) -> None:
    finding = run(before(versions(least, most)))[Step.TLS]
    assert finding.verdict is verdict, finding
    assert word in finding.evidence


def test_a_good_certificate(run: Run) -> None:
    found = run(before(serving()))
    assert verdicts(found, Step.TLS, *CERTIFICATE) == [FINE] * 4
    assert "Doctor Test Root, in the test's list" in found[Step.CHAIN].evidence
    assert found[Step.CLIENT_CERTIFICATE].verdict is FINE


ENDED = issue("localhost", INTERMEDIATE, names=["localhost"], valid=(NOW - 9 * DAY, NOW - DAY))
EARLY = issue("localhost", INTERMEDIATE, names=["localhost"], valid=(NOW + DAY, NOW + 9 * DAY))
ENDING = issue("localhost", INTERMEDIATE, names=["localhost"], valid=(NOW - DAY, NOW + 5 * DAY))
OTHER = issue("other", INTERMEDIATE, names=["other.example", "*.localhost"])
NAMELESS = issue("localhost", INTERMEDIATE)
SELF = issue("localhost", names=["localhost"])
FALSE_ISSUER = issue("No Authority", ROOT)
OF_FALSE_ISSUER = issue("localhost", FALSE_ISSUER, names=["localhost"])
OLD_ISSUER = issue("Old", ROOT, is_authority=True, valid=(NOW - 9 * DAY, NOW - DAY))
OF_OLD_ISSUER = issue("localhost", OLD_ISSUER, names=["localhost"])


@pytest.mark.parametrize(
    ("leaf", "expected", "step", "word"),
    [
        (ENDED, [FINE, FINE, WRONG], Step.EXPIRY, "CN=localhost expired on"),
        (EARLY, [FINE, FINE, WRONG], Step.EXPIRY, "valid from"),
        (ENDING, [FINE, FINE, DOUBTFUL], Step.EXPIRY, "expires in 4 days"),
        (OF_OLD_ISSUER, [FINE, FINE, WRONG], Step.EXPIRY, "CN=Old expired on"),
        (OTHER, [FINE, WRONG, FINE], Step.NAMES, "is for other.example, *.localhost, not for"),
        (NAMELESS, [FINE, WRONG, FINE], Step.NAMES, "names no host"),
        (SELF, [WRONG, FINE, FINE], Step.CHAIN, "is self-signed"),
        (OF_FALSE_ISSUER, [WRONG, FINE, FINE], Step.CHAIN, "OpenSSL objects: "),
    ],
    ids=["ended", "early", "ending", "old-issuer", "other", "nameless", "self", "false-issuer"],
)
def test_bad_certificates(
    run: Run, leaf: Issued, expected: list[Verdict], step: Step, word: str
) -> None:
    found = run(before(serving(leaf), credential=CREDENTIAL))
    assert verdicts(found, *CERTIFICATE) == expected, found
    assert word in found[step].evidence
    is_trusted = WRONG not in expected
    assert found[Step.HTTP].verdict is FINE, "without a key it can be asked all the same"
    shown = found[Step.SIGNATURE].evidence
    assert ("no key is shown" not in shown) is is_trusted


def test_insecure_goes_on(run: Run) -> None:
    found = run(before(serving(SELF), trust=replace(PUBLIC, insecure=True), credential=CREDENTIAL))
    assert found[Step.CHAIN].verdict is WRONG
    assert found[Step.SIGNATURE].evidence.startswith("refused: answered 401")


def test_a_missing_intermediate_is_called_by_its_name(run: Run) -> None:
    async def scenario(content: bytes) -> Finding:
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/pkix-cert\r\n\r\n" + content

        async def serve(reader: Any, writer: Any) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        async with listening(serve) as port:
            place = f"http://127.0.0.1:{port}/issuer.cer"
            leaf = issue("localhost", INTERMEDIATE, names=["localhost"], found_at=place)
            return (await before(serving(leaf, ())))[Step.CHAIN]

    found = run(scenario(INTERMEDIATE.der))
    assert found.verdict is WRONG
    assert found.evidence.startswith("intermediate missing: the server sent 1 certificate and not")
    assert found.figures["missing"] == "CN=Doctor Test Intermediate"
    assert "whole chain" in found.cure
    for nonsense in (b"", b"nonsense", SELF.der):
        assert run(scenario(nonsense)).evidence.startswith("incomplete: ")


def test_an_incomplete_chain_that_does_not_say_where_the_rest_is(run: Run) -> None:
    found = run(before(serving(LEAF, ())))[Step.CHAIN]
    assert found.verdict is WRONG
    assert found.evidence.startswith("incomplete: the server sent 1 certificate; the issuer of")
    assert "Doctor Test Intermediate" in found.evidence


def test_a_chain_out_of_order(run: Run) -> None:
    found = run(before(serving(LEAF, (ROOT, INTERMEDIATE))))[Step.CHAIN]
    assert found.verdict is DOUBTFUL
    assert "not sent in order" in found.evidence


def test_an_authority_of_our_own_is_believed_and_said_not_to_be_public(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "own.pem").write_bytes(ROOT.pem)
    loaded = Trust.load(tmp_path / "own.pem", None, insecure=False)
    stranger = Authorities.of([SELF.certificate], "another list")
    trust = replace(loaded, public=stranger)
    found = run(before(serving(), trust=trust, credential=CREDENTIAL))
    assert found[Step.CHAIN].verdict is DOUBTFUL
    assert "not in the public list" in found[Step.CHAIN].evidence
    assert "refused" in found[Step.SIGNATURE].evidence, "it is trusted with a key"


CLIENTS = issue("Clients", is_authority=True)
CLIENT = issue("genesys", CLIENTS)


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_mutual_tls(run: Run, tmp_path: Path, most: ssl.TLSVersion) -> None:
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    good.write_bytes(CLIENT.pem + CLIENT.key_pem)
    bad.write_bytes(SELF.pem + SELF.key_pem)
    demanding, asking = serving(clients=CLIENTS), serving(clients=CLIENTS)
    demanding.maximum_version = asking.maximum_version = most
    asking.verify_mode = ssl.CERT_OPTIONAL

    async def scenario() -> list[tuple[Verdict, Verdict]]:
        seen = []
        for context, file in (
            (demanding, None),
            (demanding, bad),
            (demanding, good),
            (asking, None),
        ):
            found = await before(context, trust=replace(PUBLIC, certificate=file))
            assert verdicts(found, Step.TLS, *CERTIFICATE) == [FINE] * 4, found
            seen.append((found[Step.CLIENT_CERTIFICATE].verdict, found[Step.HTTP].verdict))
        return seen

    assert run(scenario()) == [
        (WRONG, SKIPPED),
        (WRONG, SKIPPED),
        (DOUBTFUL, FINE),
        (FINE, FINE),
    ]
