"""The parts of several workers that need no process: how a configuration travels, who listens."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.config.checks.finding import Level
from earhook.config.checks.machine import check_workers
from earhook.config.load import anchored, load_configuration
from earhook.config.schema import Configuration
from earhook.config.starter import starter_text
from earhook.control.cores import worker_count
from earhook.control.settings import WorkersSettings
from earhook.errors import ConfigurationError
from earhook.sinks.pcm_stream.settings import PcmStreamSettings
from earhook.workers.carried import packed, unpacked
from earhook.workers.shared import for_worker, private_files, relayed_paths
from earhook.workers.sockets import close_slot, listen_for_slots

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
FULL = f"""\
[media]
port = 8443
[media.tls]
certificate = "server.crt"
private_key = "server.key"
[[keys]]
name = "genesys"
api_key = "key-1"
secrets = ["{SECRET}"]
organizations = ["3bd9dd0a-7a3f-4d3e-9d4f-0a6d3a4a8a11"]
[[keys]]
api_key_file = "keys/api-key"
unsigned = true
[ingest]
[[ingest.tokens]]
name = "crm"
token = "0123456789abcdef0123456789abcdef"
expires = 2027-06-30
[access]
networks = ["10.0.0.0/8"]
[access.ip_ranges]
url = "https://api.mypurecloud.com/api/v2/ipranges"
[[sinks]]
kind = "recording"
directory = "recordings"
[[sinks]]
kind = "pcm-stream"
name = "one"
listen = "unix:pcm.sock"
unix_mode = 0o600
[[sinks]]
kind = "pcm-stream"
name = "dialled"
connect = "tcp:127.0.0.1:9300"
[[sinks]]
kind = "pcm-stream"
name = "two"
listen = "tcp:0.0.0.0:9301"
insecure = true
commands = false
[workers]
count = 4
"""


def full(directory: Path) -> Configuration:
    file = directory / "earhook.toml"
    file.write_text(FULL)
    return load_configuration(file, {})


def travelled(configuration: Configuration) -> Configuration:
    return unpacked(orjson.loads(orjson.dumps(packed(configuration))))


def test_a_configuration_arrives_as_it_was_sent(tmp_path: Path) -> None:
    sent = full(tmp_path)
    came = travelled(sent)
    assert came == sent
    assert came.keys[0].secrets[0].get_secret_value() == SECRET
    assert travelled(Configuration()) == Configuration()


def test_so_does_what_was_not_written_but_made(tmp_path: Path) -> None:
    """Sinks that a program has put together, without the word that tells them apart."""
    made = Configuration(sinks=(PcmStreamSettings(listen="unix:/run/pcm.sock"),))
    assert travelled(made) == made
    assert travelled(anchored(made, tmp_path)) == anchored(made, tmp_path)


def test_a_worker_listens_for_the_relay_where_consumers_would_come(tmp_path: Path) -> None:
    whole = full(tmp_path)
    its_own = for_worker(whole, 17, 4, Path("/run/private"))
    paths = relayed_paths(whole, 17, Path("/run/private"))
    assert list(paths) == ["one", "two"]
    assert len(set(paths.values())) == 2
    recording, one, dialled, two = its_own.sinks
    assert (recording, dialled) == (whole.sinks[0], whole.sinks[2])
    assert isinstance(one, PcmStreamSettings)
    assert isinstance(two, PcmStreamSettings)
    assert one.listen == f"unix:{paths['one']}"
    assert two.listen == f"unix:{paths['two']}"
    assert (one.allows_commands, two.allows_commands) == (True, False)
    assert travelled(its_own) == its_own
    assert len(str(paths["one"])) < 100


def test_what_a_dead_worker_leaves_behind_is_found_and_nothing_else(tmp_path: Path) -> None:
    mine = [tmp_path / name for name in ("pcm-7-0.sock", "pcm-7-1.sock", "ingest-7.sock")]
    others = [tmp_path / name for name in ("pcm-77-0.sock", "ingest-17.sock", "pcm-6-7.sock")]
    for file in mine + others:
        file.touch()
    assert sorted(private_files(7, tmp_path)) == sorted(mine)


@given(
    count=st.one_of(st.integers(1, 64), st.just("auto")), cores=st.floats(0.01, 64, allow_nan=False)
)
def test_auto_is_a_worker_for_each_whole_core_and_at_least_one(
    count: int | str, cores: float
) -> None:
    workers = worker_count(WorkersSettings.model_validate({"count": count}), cores)
    assert workers == (max(1, int(cores)) if count == "auto" else count)


@pytest.mark.parametrize(
    ("settings", "cores", "doubted"),
    [
        ({"count": 4}, 4.0, []),
        ({"count": "auto"}, 1.5, []),
        ({"count": 1}, 0.5, []),
        ({"count": 5}, 4.0, ["workers.count"]),
        ({"count": 4, "recycle_memory_mib": 300}, 4.0, ["workers.recycle_memory_mib"]),
        ({"count": 4, "recycle_memory_mib": 200}, 4.0, []),
    ],
)
def test_a_check_doubts_what_is_of_no_use(
    settings: dict[str, object], cores: float, doubted: list[str]
) -> None:
    found = check_workers(WorkersSettings.model_validate(settings), cores, 1000)
    assert [finding.where for finding in found if finding.level is Level.DOUBTFUL] == doubted


def configuration_at(port: int) -> Configuration:
    media = {"host": "127.0.0.1", "port": port}
    return Configuration.model_validate(
        {"media": media, "ingest": {"host": "127.0.0.1", "port": 0, "plaintext": True}}
    )


def test_every_slot_listens_at_every_door_and_the_kernel_knows_each() -> None:
    slots = listen_for_slots(configuration_at(0), 3)
    try:
        for door in ("media", "ingest"):
            ports = {one.getsockname()[1] for slot in slots for one in slot[door]}
            assert len(ports) == 1
            inodes = {os.fstat(one.fileno()).st_ino for slot in slots for one in slot[door]}
            assert len(inodes) == 3
            assert not any(one.get_inheritable() for slot in slots for one in slot[door])
    finally:
        for slot in slots:
            close_slot(slot)


def test_a_port_that_somebody_else_shares_is_taken() -> None:
    """With SO_REUSEPORT alone the kernel would give us half of a stranger's connections."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        with pytest.raises(ConfigurationError, match="media"):
            listen_for_slots(configuration_at(stranger.getsockname()[1]), 2)


def test_the_starter_file_travels(tmp_path: Path) -> None:
    file = tmp_path / "earhook.toml"
    file.write_text(starter_text())
    configuration = load_configuration(file, {})
    assert travelled(configuration) == configuration
