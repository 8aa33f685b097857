"""Who may come in at the relay: tokens, certificates, and how rude one may be."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.client import StreamRefused, connect
from earhook.errors import ConfigurationError
from pcm_stream.listening import check, until_closed


def test_tls_certificates_and_tokens(
    run: Any, crew: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    issued = certificate_authority.issue_cert("localhost", "127.0.0.1")
    names = {name: str(tmp_path / name) for name in ("local.crt", "local.key", "ca.crt")}
    issued.cert_chain_pems[0].write_to_path(names["local.crt"])
    issued.private_key_pem.write_to_path(names["local.key"])
    certificate_authority.cert_pem.write_to_path(names["ca.crt"])
    tls = {
        "certificate": names["local.crt"],
        "private_key": names["local.key"],
        "client_ca": names["ca.crt"],
    }

    async def scenario() -> None:
        async with crew(listen="tcp:127.0.0.1:0", tls=tls, token="sesame") as gateway:
            address = gateway.address.replace("tcp:", "tls:")
            known, stranger = (ssl.create_default_context(cafile=names["ca.crt"]) for _ in "12")
            known.load_cert_chain(names["local.crt"], names["local.key"])
            with pytest.raises(StreamRefused) as refused:
                async with connect(address, ssl=known, token="guess"):
                    pass
            assert refused.value.code == "unauthorized"
            with pytest.raises((ssl.SSLError, ConnectionError)):
                async with connect(address, ssl=stranger, token="sesame", reconnect=False):
                    pass
            wishes = {"ssl": known, "token": "sesame", "events": True, "gaps": True}
            async with connect(address, **wishes) as stream:
                speakers = [house.open() for house in gateway.workers.values()]
                for house, speaker in zip(gateway.workers.values(), speakers, strict=True):
                    speaker.push(12_345)
                    house.end(speaker)
                items = await until_closed(stream, calls=2)
                for speaker in speakers:
                    assert check(speaker, items) == (12_345, 0)
            assert all(house.counter("connected") == 1 for house in gateway.workers.values())

    run(scenario())


def test_a_token_file_that_is_not_there_is_a_fault(run: Any, crew: Any) -> None:
    async def scenario() -> None:
        with pytest.raises(ConfigurationError, match=r"sinks\.pcm-stream\.token_file"):
            async with crew(token_file="/nowhere/token"):
                pass

    run(scenario())
