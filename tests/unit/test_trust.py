"""TLS of whoever dials: whom it believes, and what is wrong with the files it was given."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from earhook.errors import ConfigurationError
from earhook.transport import dial
from earhook.trust import client_context


@pytest.fixture
def cafile(certificate_authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    certificate_authority.cert_pem.write_to_path(path)
    return path


@pytest.mark.parametrize("resumes", [False, True])
def test_authorities_of_a_file_go_instead_of_the_machines(cafile: Path, resumes: bool) -> None:
    assert len(client_context(cafile).get_ca_certs()) == 1
    assert len(dial.client_context(cafile, resumes=resumes).get_ca_certs()) == 1


def test_what_is_made_checks_the_server(
    cafile: Path, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    own = tmp_path / "own.pem"
    certificate_authority.issue_cert("consumer").private_key_and_cert_chain_pem.write_to_path(own)
    context = client_context(cafile, own)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("make", "option", "unusable"),
    [
        (client_context, "--cafile", "holds no certificate in PEM"),
        (dial.client_context, "--cafile", "holds no certificate in PEM"),
        (
            lambda file: dial.client_context(file, resumes=True),
            "--cafile",
            "holds no certificate in PEM",
        ),
        (
            lambda file: client_context(None, file),
            "--certificate",
            "holds no certificate with its key in PEM",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    make: Callable[[Path], ssl.SSLContext], option: str, unusable: str, tmp_path: Path
) -> None:
    file = tmp_path / "file.pem"
    for content, why in ((None, "No such file or directory"), ("no PEM", unusable)):
        if content is not None:
            file.write_text(content)
        with pytest.raises(ConfigurationError) as refusal:
            make(file)
        [fault] = refusal.value.faults
        assert (fault.where, fault.what) == (option, f"{file}: {why}")
