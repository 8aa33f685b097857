"""A Terraform module of the integrations dialect, with the provider's own resources.

Resources and attributes are those of the provider `mypurecloud/genesyscloud`:
`genesyscloud_integration` and `genesyscloud_integration_credential`. The dialect of the community
guide has no resources there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from earhook.errors import ConfigurationError, ConfigurationFault

from .fields import MonitorWish
from .hcl import Block, Raw, Value, json_expression, quoted, written
from .wanted_file import Wanted, WantedMonitor

__all__ = ["module_files", "write_module"]


def module_files(wanted: Wanted) -> dict[str, str]:
    """The files of a module by name. Secrets are variables; none is written.

    Raises:
        ConfigurationError: The description has no integration.
    """
    if not wanted.monitors:
        what = "there is none, and the provider knows nothing else of AudioHook"
        raise ConfigurationError.of("integrations", what)
    labels = _labels([one.wish.name for one in wanted.monitors])
    named = list(zip(labels, wanted.monitors, strict=True))
    return {
        "main.tf": written(
            (block for label, one in named for block in _resources(label, one)), _MAIN_REMARK
        ),
        "outputs.tf": written(_output(label, one.wish) for label, one in named),
        "variables.tf": written(
            (block for label, one in named for block in _variables(label, one.wish)),
            _VARIABLES_REMARK,
        ),
        "versions.tf": written([_versions()]),
    }


def write_module(directory: Path, files: dict[str, str], *, overwrite: bool = False) -> None:
    """Write the files of a module.

    Raises:
        ConfigurationError: One exists and shall not be overwritten, or cannot be written.
    """
    faults = [
        ConfigurationFault(str(directory / name), "exists already", "--force overwrites it")
        for name in files
        if not overwrite and (directory / name).exists()
    ]
    if faults:
        raise ConfigurationError(faults)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        where = os.fspath(error.filename or directory)
        what = f"cannot be written: {error.strerror}"
        raise ConfigurationError.of(where, what) from None


def _resources(label: str, wanted: WantedMonitor) -> Iterator[Block]:
    wish = wanted.wish
    secrets = [f"  apiKey = var.{label}_api_key"]
    if wish.client_secret is not None:
        secrets = [
            f"  apiKey       = var.{label}_api_key",
            f"  clientSecret = var.{label}_client_secret",
        ]
    fields = "\n".join(["{", *secrets, "}"])
    yield Block(
        f'resource "{_CREDENTIAL}" "{label}"',
        {
            "name": f"{wish.name} (AudioHook)",
            "credential_type_name": "audioHook",
            "fields": Raw(fields),
        },
    )
    config = Block(
        "config",
        {
            "name": wish.name,
            "properties": json_expression(
                {"channel": wish.channel, "connectionUri": wish.connection_uri}
            ),
            "advanced": json_expression(wish.custom_config),
            "notes": wish.notes,
            "credentials": Raw(f"{{\n  audioHook = {_CREDENTIAL}.{label}.id\n}}"),
        },
    )
    yield Block(
        f'resource "{_INTEGRATION}" "{label}"',
        {
            "intended_state": "ENABLED" if wanted.is_enabled else "DISABLED",
            "integration_type": "audiohook",
        },
        (config,),
    )


def _variables(label: str, wish: MonitorWish) -> Iterator[Block]:
    yield _variable(f"{label}_api_key", f"What {wish.name} shows as X-API-KEY.")
    if wish.client_secret is not None:
        yield _variable(f"{label}_client_secret", f"What {wish.name} signs with, in base64.")


def _variable(name: str, description: str) -> Block:
    attributes: dict[str, Value] = {
        "description": description,
        "type": Raw("string"),
        "sensitive": True,
    }
    return Block(f'variable "{name}"', attributes)


def _output(label: str, wish: MonitorWish) -> Block:
    attributes: dict[str, Value] = {
        "description": f"The id of the integration {wish.name}.",
        "value": Raw(f"{_INTEGRATION}.{label}.id"),
    }
    return Block(f'output "{label}_id"', attributes)


def _versions() -> Block:
    provider = f"{{\n  source  = {quoted(_SOURCE)}\n  version = {quoted(_VERSION)}\n}}"
    providers = Block("required_providers", {"genesyscloud": Raw(provider)})
    return Block("terraform", {"required_version": ">= 1.3"}, (providers,))


def _labels(names: Sequence[str]) -> list[str]:
    """A name that Terraform takes for each; different ones for different names."""
    labels: list[str] = []
    for name in names:
        label = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "integration"
        label = label if label[0].isalpha() else f"integration_{label}"
        number, wanted = 2, label
        while label in labels:
            label, number = f"{wanted}_{number}", number + 1
        labels.append(label)
    return labels


_INTEGRATION: Final = "genesyscloud_integration"
_CREDENTIAL: Final = "genesyscloud_integration_credential"
_SOURCE: Final = "mypurecloud/genesyscloud"
_VERSION: Final = ">= 1.0"
_MAIN_REMARK: Final = """\
AudioHook Monitor integrations, written by `earhook genesys terraform`.

Enabling one makes Genesys Cloud probe the server: let `earhook genesys probe` look first.
Which queues are monitored is enable_audio_monitoring of their genesyscloud_routing_queue, a
resource that owns all of a queue; so no queue is written here."""
_VARIABLES_REMARK: Final = """\
The keys lie in the files of the gateway: TF_VAR_…=$(cat keys/genesys.api-key) terraform plan"""
