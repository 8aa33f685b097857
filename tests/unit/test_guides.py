"""What the guides say can be done: their configurations load, their metrics and events exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from earhook.config.layers import Flag
from earhook.config.load import flag, load_configuration
from earhook.ops.metrics import METRICS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPETS = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    # One is generated, with dots for what has to be filled in; the other describes no gateway.
    if page.name not in {"config.md", "genesys.md"}
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL))
    # Rules and lexicons are for `earhook analyze`; its tests read them.
    if not re.search(r"^\[(\[rules\]\]|words\])", text, re.MULTILINE)
]
SOURCE = "\n".join(path.read_text() for path in (ROOT / "python" / "earhook").rglob("*.py"))
RUN = (ROOT / "docs" / "howto" / "run.md").read_text()
DECLARED = {metric.name for metric in METRICS} | {
    f"{metric.name}_{part}"
    for metric in METRICS
    if metric.kind == "histogram"
    for part in ("count", "sum", "bucket")
}


def completed(snippet: str) -> list[Flag]:
    """What a page leaves out because another one says it: the certificate of the ingest."""
    is_secure = re.search(r"^(\[(media|ingest)\.tls\]|plaintext)", snippet, re.MULTILINE)
    return [] if is_secure or "[ingest" not in snippet else [flag("ingest.plaintext=true")]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_configuration_of_a_page_is_one(snippet: str, tmp_path: Path) -> None:
    file = tmp_path / "earhook.toml"
    file.write_text(snippet)
    load_configuration(file, {}, completed(snippet))


def test_a_page_has_configurations() -> None:
    assert len(SNIPPETS) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_metric_of_a_page_is_declared(page: Path) -> None:
    crates = {"earhook_audio", "earhook_intake", "earhook_ring", "earhook_wire", "earhook_py"}
    named = set(re.findall(r"\bearhook_[a-z_]+\b", page.read_text()))
    assert named - crates <= DECLARED


def test_every_event_of_the_log_table_is_written_somewhere() -> None:
    table = RUN.partition("| event | ")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    events = [event for row in rows for event in re.findall(r"`([a-z_.]+)`", row)]
    assert len(events) > 20
    # Some are put together where they are written: `call.` and a word, a name and `.expired`.
    written = [event for event in events if f'"{event}"' in SOURCE]
    composed = {*("call.malformed", "call.encryption"), *_expiry_events()}
    assert set(events) - set(written) <= composed


def _expiry_events() -> set[str]:
    return {
        f"{what}.{when}"
        for what in ("certificate", "token")
        for when in ("expires_soon", "expired")
    }
