"""The configuration: layers, faults all at once and in plain words, secrets never shown."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from earhook.config.changes import changed_keys
from earhook.config.load import configuration_file, flag, load_configuration
from earhook.config.places import dotted, every_place, find, line_numbers, nearest
from earhook.config.printed import printed
from earhook.config.reference import configuration_page
from earhook.config.schema import Configuration
from earhook.config.sections import sections
from earhook.config.starter import starter_text, write_starter
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.metrics import METRICS, reference_page

ROOT = Path(__file__).parents[2]
CANARY = "canary-9d1c"
KEY = {"api_key": "k", "secrets": ["c2VjcmV0"]}
KNOWN_LABELS = {
    *("door", "sink", "codec", "channel", "issuer", "reason", "kind", "status"),
    *("version", "python", "token", "state", "slot"),
}


def written(directory: Path, text: str) -> Path:
    path = directory / "earhook.toml"
    path.write_text(text)
    return path


def faults(
    file: Path | None = None, /, *flags: str, **environment: str
) -> list[ConfigurationFault]:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(file, environment, [flag(text) for text in flags])
    return list(caught.value.faults)


def test_with_nothing_given_the_defaults_hold() -> None:
    configuration = load_configuration(None, {})
    assert (configuration.media.port, configuration.admin.port) == (8443, 9090)
    assert configuration.admin.host == "127.0.0.1"
    assert configuration.drain.grace_seconds == 900


def test_flags_lie_over_environment_over_file(tmp_path: Path) -> None:
    file = written(tmp_path, "[media]\nport = 1\nmax_calls = 1\n[admin]\nport = 1\n")
    environment = {"EARHOOK__MEDIA__PORT": "2", "EARHOOK__MEDIA__MAX_CALLS": "2"}
    configuration = load_configuration(file, environment, [flag("media.port=3")])
    assert configuration.media.port == 3
    assert configuration.media.max_calls == 2
    assert configuration.admin.port == 1


def test_lists_and_tables_come_from_the_environment_as_json() -> None:
    environment = {
        "EARHOOK__KEYS": json.dumps([KEY]),
        "EARHOOK__PROTOCOL__WISH__CHANNELS": '["external"]',
        "EARHOOK__MEDIA__TLS": '{"certificate": "/a", "private_key": "/b"}',
        "EARHOOK__MEDIA__TLS__CLIENT_CA": "/c",
        "HOME": "/root",
    }
    configuration = load_configuration(None, environment)
    assert configuration.keys[0].api_key is not None
    assert configuration.media.tls is not None
    assert configuration.media.tls.client_ca == Path("/c")
    assert [str(choice) for choice in configuration.protocol.wish.channels] == ["external"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=3", 3),
        ("a.b=true", True),
        ('a.b="3"', "3"),
        ("a.b=plain text", "plain text"),
        ("a.b=[1, 2]", [1, 2]),
        ("a.b=x=y", "x=y"),
    ],
)
def test_a_flag_is_toml_or_bare_text(text: str, expected: Any) -> None:
    assert flag(text).path == ("a", "b")
    assert flag(text).value == expected


@pytest.mark.parametrize("text", ["", "a", "=1", "a..b=1"])
def test_a_flag_without_key_or_value_is_a_fault(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"section\.key=value"):
        flag(text)


def test_all_faults_are_reported_at_once_each_with_its_place(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
[media]
prot = 1
host = 5

[[keys]]
api_key = "a"
secrets = ["not base64!"]
[[keys]]
secert = "x"
[admin]
host = "0.0.0.0"
""",
    )
    found = faults(
        file,
        "drain.flush_seconds=0",
        EARHOOK__LOG__LEVEL="loud",
        EARHOOK__WORKERS__COUNT="all",
        EARHOOK__MEDAI__PORT="1",
    )
    places = {fault.where.removeprefix(f"{file}:") for fault in found}
    assert places >= {
        "2: media.prot",
        "3: media.host",
        "7: keys[0].secrets",
        "9: keys[1].secert",
        "10: admin",
        "EARHOOK__LOG__LEVEL: log.level",
        "EARHOOK__WORKERS__COUNT: workers.count",
        "EARHOOK__MEDAI__PORT",
        "--set drain.flush_seconds: drain.flush_seconds",
    }


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("[media]\nprot = 1", "did you mean 'port'?"),
        ("[medai]\nport = 1", "did you mean 'media'?"),
        ("[media]\ngrace_seconds = 1", "it belongs to [drain]"),
        ("[protocol.wish]\nchanels = []", "did you mean 'channels'?"),
        ('[[sinks]]\nkind = "recordin"', "did you mean 'recording'?"),
        ('[[sinks]]\nkind = "recording"\ndirectry = "x"', "did you mean 'directory'?"),
        ("[drain]\nxyzzy = 1", "known here: grace_seconds, disconnect_seconds, flush_seconds"),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one(text: str, remedy: str, tmp_path: Path) -> None:
    assert remedy in [fault.remedy for fault in faults(written(tmp_path, text))]


@pytest.mark.parametrize("count", ["0", "-1", "65", '"all"', "1.5"])
def test_a_number_of_workers_is_one_that_can_be(count: str, tmp_path: Path) -> None:
    found = faults(written(tmp_path, f"[workers]\ncount = {count}"))
    assert found
    assert all("workers.count" in fault.where for fault in found)


def test_an_admin_port_for_others_needs_a_token(tmp_path: Path) -> None:
    (fault,) = faults(written(tmp_path, '[admin]\nhost = "0.0.0.0"'))
    assert "token_file" in fault.what
    guarded = written(tmp_path, '[admin]\nhost = "0.0.0.0"\ntoken = "t"')
    assert load_configuration(guarded, {}).admin.host == "0.0.0.0"


@pytest.mark.parametrize(
    "table",
    [
        'secrets = ["c2VjcmV0"]',
        'api_key = "a"\napi_key_file = "b"\nunsigned = true',
        'api_key = "a"',
        'api_key = "a"\nunsigned = true\nsecrets = ["c2VjcmV0"]',
        'api_key = "a"\nsecrets = ["c2VjcmV0"]\nsecret_files = ["a", "b"]',
        'api_key = "a"\nsecrets = [""]',
    ],
)
def test_a_key_is_complete_and_unambiguous(table: str, tmp_path: Path) -> None:
    (fault,) = faults(written(tmp_path, f"[[keys]]\n{table}"))
    assert "keys[0]" in fault.where


def test_two_tables_with_one_key_or_name_are_faults(tmp_path: Path) -> None:
    table = '[[keys]]\nname = "n"\napi_key = "a"\nunsigned = true\n'
    found = faults(written(tmp_path, table * 2))
    assert {fault.where.split(": ")[1] for fault in found} == {"keys[1].name", "keys[1].api_key"}


def test_the_name_of_the_sink_that_listens_is_taken(tmp_path: Path) -> None:
    table = '[[sinks]]\nkind = "recording"\nname = "signal"\ndirectory = "x"\n'
    (fault,) = faults(written(tmp_path, table))
    assert fault.where.endswith("sinks[0].name")
    deaf = load_configuration(written(tmp_path, table + "[signal]\nenabled = false\n"), {})
    assert deaf.sinks[0].name == "signal"


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("absent.toml", "cannot be read"),
        (".", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault(file: str, what: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path / file)
    assert what in fault.what


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"x" * ((1 << 20) + 1)])
def test_a_file_that_is_no_toml_is_a_fault(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "earhook.toml"
    file.write_bytes(content)
    assert str(file) in faults(file)[0].where


def test_relative_paths_count_from_the_directory_of_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
[media.tls]
certificate = "tls/server.crt"
private_key = "/etc/server.key"
[[keys]]
api_key_file = "keys/a"
secret_files = ["keys/b"]
[[sinks]]
kind = "pcm-stream"
listen = "unix:pcm.sock"
[[sinks]]
kind = "recording"
directory = "recordings"
""",
    )
    configuration = load_configuration(file, {})
    assert configuration.media.tls is not None
    assert configuration.media.tls.certificate == tmp_path / "tls/server.crt"
    assert configuration.media.tls.private_key == Path("/etc/server.key")
    assert configuration.keys[0].secret_files == (tmp_path / "keys/b",)
    assert f'listen = "unix:{tmp_path}/pcm.sock"' in printed(configuration)
    assert f'directory = "{tmp_path}/recordings"' in printed(configuration)


def test_no_fault_shows_a_secret(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        f"""\
[[keys]]
api_key = ["{CANARY}"]
secrets = ["{CANARY}!"]
[[keys]]
secert = "{CANARY}"
[[keys]]
api_key = "{CANARY}"
secrets = "{CANARY}"
[admin]
token = ["{CANARY}"]
""",
    )
    environment = {
        "EARHOOK__KEYS": f'[{{"api_key": "{CANARY}"',
        "EARHOOK__ADMIN__TOKEN_FLE": CANARY,
    }
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(file, environment)
    assert CANARY not in str(caught.value)
    assert caught.value.__suppress_context__
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(file, {})
    assert len(caught.value.faults) >= 5
    assert CANARY not in str(caught.value)


def test_what_is_printed_reads_back_and_shows_no_secret(tmp_path: Path) -> None:
    secret = base64.b64encode(CANARY.encode()).decode()
    file = written(
        tmp_path,
        f"""\
[[keys]]
api_key = "{CANARY}"
secrets = ["{secret}"]
[admin]
token = "{CANARY}"
""",
    )
    text = printed(load_configuration(file, {}))
    assert CANARY not in text
    assert secret not in text
    assert text.count("[redacted]") == 3
    tree = tomllib.loads(text.replace('secrets = ["[redacted]"]', 'secrets = ["c2VjcmV0"]'))
    Configuration.model_validate(tree)


def test_the_file_is_found_where_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = Path("given.toml")
    assert configuration_file(given, {"EARHOOK_CONFIG": "named.toml"}) == given
    assert configuration_file(None, {"EARHOOK_CONFIG": "named.toml"}) == Path("named.toml")
    assert configuration_file(None, {}) is None
    written(tmp_path, "")
    assert configuration_file(None, {}) == Path("earhook.toml")


class TestStarter:
    """`earhook config init`."""

    def test_it_is_valid_as_it_stands_and_with_every_comment_taken_away(
        self, tmp_path: Path
    ) -> None:
        starter = write_starter(tmp_path / "earhook.toml")
        configuration = load_configuration(starter.configuration, {})
        assert configuration.keys[0].api_key_file == starter.key_file
        kinds = [sink.kind for sink in configuration.sinks]
        assert kinds == ["recording", "pcm-stream"]
        text = re.sub(r"(?m)^# (\[+[a-z.]+\]+|[a-z_]+ = (?!…).*)$", r"\1", starter_text())
        assert tomllib.loads(text)["media"]["port"] == 8443

    def test_the_key_and_the_secret_are_ours_alone_and_new_each_time(self, tmp_path: Path) -> None:
        first = write_starter(tmp_path / "a" / "earhook.toml")
        second = write_starter(tmp_path / "b" / "earhook.toml")
        for starter in (first, second):
            for file in (starter.key_file, starter.secret_file):
                assert file.stat().st_mode & 0o777 == 0o600
                assert file.read_text().strip() not in starter.configuration.read_text()
        assert first.key_file.read_text() != second.key_file.read_text()
        assert first.secret_file.read_text() != second.secret_file.read_text()

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        starter = write_starter(tmp_path / "earhook.toml")
        before = starter.secret_file.read_text()
        starter.configuration.unlink()
        with pytest.raises(ConfigurationError, match="exists already"):
            write_starter(tmp_path / "earhook.toml")
        assert starter.secret_file.read_text() == before
        assert not starter.configuration.exists()


def test_every_key_says_what_it_is_for() -> None:
    for path, field in every_place(Configuration):
        assert field.description, dotted(path)


def test_every_section_is_in_the_reference_page() -> None:
    page = configuration_page()
    for section in sections(Configuration):
        assert f"`{section.header}`" in page
        for row in section.rows:
            assert f"| `{row.name}` |" in page


@pytest.mark.parametrize(
    ("page", "text"), [("config.md", configuration_page()), ("metrics.md", reference_page())]
)
def test_the_reference_pages_are_fresh(page: str, text: str) -> None:
    committed = (ROOT / "docs" / "reference" / page).read_text()
    assert committed == text, "run python -m earhook.config.reference"


def test_every_metric_is_named_by_the_rules() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"earhook_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert set(metric.labels) <= KNOWN_LABELS


def test_lines_of_keys_are_found_in_nested_and_repeated_tables() -> None:
    text = '[a]\nx = 1\n[[b]]\ny = 1\n[[b]]\n  "y" = 2\n[b.c]\nz = 1\n[a.d]\nw.v = 1\n'
    assert line_numbers(text) == {
        ("a",): 1,
        ("a", "x"): 2,
        ("b", 0): 3,
        ("b", 0, "y"): 4,
        ("b", 1): 5,
        ("b", 1, "y"): 6,
        ("b", 1, "c"): 7,
        ("b", 1, "c", "z"): 8,
        ("a", "d"): 9,
        ("a", "d", "w", "v"): 10,
    }


def test_a_place_is_found_through_lists_and_options() -> None:
    place = find(Configuration, ("media", "tls", "certificate"))
    assert place.field is not None
    assert dotted(place.path) == "media.tls.certificate"
    unknown = find(Configuration, ("keys", 3, "nmae"))
    assert unknown.field is None
    assert nearest("nmae", unknown.siblings) == "name"


def test_the_schema_is_json_schema_and_hides_nothing_required() -> None:
    schema = Configuration.model_json_schema()
    assert schema["additionalProperties"] is False
    assert issubclass(Configuration, BaseModel)
    assert "TlsSettings" in schema["$defs"]


@pytest.mark.parametrize(
    ("flags", "environment", "source"),
    [
        (["sinks.0.directory=x"], {}, "--set sinks.0.directory"),
        ([], {"EARHOOK__SINKS__0__DIRECTORY": "x"}, "EARHOOK__SINKS__0__DIRECTORY"),
    ],
)
def test_one_key_of_a_list_is_traced_to_who_gave_it(
    flags: list[str], environment: dict[str, str], source: str, tmp_path: Path
) -> None:
    file = written(tmp_path, '[[sinks]]\nkind = "recording"\ndirectory = "r"\n')
    (fault,) = faults(file, *flags, **environment)
    assert fault.where == f"{source}: sinks"
    assert "EARHOOK__SINKS" in fault.remedy


def test_changes_are_named_to_the_key_and_show_no_value() -> None:
    before = load_configuration(None, {"EARHOOK__KEYS": json.dumps([KEY])})
    changes = {"EARHOOK__MEDIA__PORT": "1", "EARHOOK__LIMITS__FRAMES__FRAGMENTS": "2"}
    changes["EARHOOK__MEDIA__TLS"] = '{"certificate": "c", "private_key": "k"}'
    after = load_configuration(
        None, {"EARHOOK__KEYS": json.dumps([KEY, KEY | {"api_key": "l"}])} | changes
    )
    assert changed_keys(before, before) == []
    expected = {"media.port", "media.tls", "keys", "limits.frames.fragments"}
    assert set(changed_keys(before, after)) == expected
