"""The parts of the Genesys client that need no server."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from earhook.errors import ConfigurationError, GenesysError
from earhook.genesys import (
    REGIONS,
    AudioHookWish,
    ConversationState,
    NetworkSettings,
    PatienceSettings,
    Timing,
    custom_region,
    find_region,
    require_audiohook,
)
from earhook.genesys.conversations import read_state
from earhook.genesys.errors import AnswerUnreadable, OutcomeUnknown, Unavailable
from earhook.genesys.operations import Operation, Operations
from earhook.genesys.patience import Patience, retry_after_seconds
from earhook.genesys.proxies import proxy_for, read_proxy
from earhook.genesys.refusals import read_refusal
from earhook.genesys.transport import Answer, Request
from earhook.ops.redaction import Redacted
from earhook.testing import ManualClock

OPERATIONS = [value for value in vars(Operations).values() if isinstance(value, Operation)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("eu-central-1", "eu-central-1"),
        (" EU-Central-1 ", "eu-central-1"),
        ("euc1", "eu-central-1"),
        ("apse2", "ap-southeast-2"),
        ("mypurecloud.de", "eu-central-1"),
        ("login.usw2.pure.cloud", "us-west-2"),
        ("https://apps.mypurecloud.com/", "us-east-1"),
        ("https://api.mypurecloud.com.au/api/v2", "ap-southeast-2"),
    ],
)
def test_a_region_is_found_by_every_name_it_has(text: str, name: str) -> None:
    assert find_region(text) is REGIONS[name]


def test_an_unknown_region_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean eu-central-1\?"):
        find_region("eu-centrall-1")


def test_every_region_has_two_hosts_of_its_own() -> None:
    hosts = [url for region in REGIONS.values() for url in (region.login_url, region.api_url)]
    assert len(set(hosts)) == 2 * len(REGIONS)
    assert all(url.startswith("https://") for url in hosts)


@pytest.mark.parametrize(
    "url", ["http://api.example", "ftp://api.example", "api.example", "https://u@h", "https://h/x"]
)
def test_a_custom_region_is_an_origin_that_secrets_may_go_to(url: str) -> None:
    with pytest.raises(ConfigurationError):
        custom_region(url, "https://api.example")
    assert custom_region("http://127.0.0.1:8080/", "https://h").login_url == "http://127.0.0.1:8080"


def told(status: int, **headers: str) -> Answer:
    return Answer(status, {key.replace("_", "-"): value for key, value in headers.items()}, b"")


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (told(429, retry_after="3"), 3.0),
        (told(503, retry_after="0"), 0.0),
        (told(429, retry_after="Thu, 01 Jan 2026 00:00:40 GMT"), 40.0),
        (told(429, retry_after="Wed, 31 Dec 2025 00:00:00 GMT"), 0.0),
        (told(429, retry_after="soon"), None),
        (told(429, retry_after="-3"), None),
        (told(429), None),
        (told(200, retry_after="3"), None),
        (Answer(429, {}, b'{"message": "Retry the request in [7] seconds"}'), 7.0),
        (None, None),
    ],
)
def test_retry_after_is_read(answer: Answer | None, seconds: float | None) -> None:
    assert retry_after_seconds(answer, ManualClock().wall_seconds()) == seconds


@given(
    statuses=st.lists(st.sampled_from([429, 500, 502, 503, 0, -1]), max_size=8),
    wanted=st.one_of(st.none(), st.integers(0, 200)),
    fraction=st.floats(0, 1, exclude_max=True),
    repeatable=st.booleans(),
)
def test_patience_keeps_its_laws(
    statuses: list[int], wanted: int | None, fraction: float, repeatable: bool
) -> None:
    """0 stands for an answer that did not come, -1 for a connection that did not."""
    settings = PatienceSettings(attempts=5, longest_retry_after_seconds=100)
    clock, naps, sent = ManualClock(), [], []
    script = [*statuses, *[200] * 10]

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        clock.advance(seconds)

    async def send() -> Answer:
        status = script[len(sent)]
        sent.append(status)
        if status == 0:
            raise OutcomeUnknown("cut")
        if status == -1:
            raise Unavailable("nobody")
        return told(status, **({} if wanted is None else {"retry_after": str(wanted)}))

    patience = Patience(settings, Timing(clock, nap, lambda: fraction))
    try:
        answer = asyncio.run(patience.answer("x", send, repeatable=repeatable))
    except Unavailable:
        answer = None
    assert len(sent) <= settings.attempts
    assert len(naps) == len(sent) - 1
    for status, seconds in zip(sent, naps, strict=False):
        if status > 0 and wanted is not None:
            assert wanted <= seconds <= wanted + settings.first_pause_seconds
            assert wanted <= settings.longest_retry_after_seconds
        else:
            assert 0 < seconds <= settings.longest_pause_seconds
        # What may have been done is sent again only where that is the same.
        assert repeatable or status in {429, 503, -1}
    assert answer is None or answer.status == sent[-1]
    if 200 in sent:
        assert answer is not None
        assert answer.status == 200
        assert sent.count(200) == 1


@given(
    operation=st.sampled_from(OPERATIONS),
    status=st.integers(300, 599),
    body=st.one_of(
        st.binary(max_size=200),
        st.dictionaries(
            st.sampled_from(["message", "code", "errorCode", "messageParams", "contextId"]),
            st.one_of(st.text(max_size=50), st.just("canary"), st.none(), st.integers(0, 9)),
        ).map(orjson.dumps),
    ),
    challenge=st.text(max_size=50),
)
def test_any_answer_is_an_error_that_shows_nothing_hidden(
    operation: Operation, status: int, body: bytes, challenge: str
) -> None:
    answer = Answer(status, {"www-authenticate": challenge + ' scope="canary"'}, body)
    error = read_refusal(operation, answer, ["canary"], 0.0)
    assert isinstance(error, GenesysError)
    assert error.status == status
    assert operation.does in str(error)
    shown = f"{error} {error.code} {error.correlation_id} {vars(error)}"
    assert "canary" not in shown
    assert str(error).isprintable()


def hook(url: str = "https://h.example/in", key: bytes | None = None, **rest: Any) -> AudioHookWish:
    secret = None if key is None else Redacted(base64.b64encode(key).decode())
    return AudioHookWish("name", url, encryption_key=secret, **rest)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://h/x",
            "wss://h/x",
            "h/x",
            "https://",
            "https:///x",
            "https://h:x/",
            "https://h /x",
        ),
        *("https://u:p@h/", "https://h/#a", "https://h/{conversationId}", "https://h/$ID"),
        *("https://h/?timestamp=1", "https://h/?a=1&conversation_id=2", "https://h/?nonce"),
        *("https://h/%7Bid%7D", "https://hö/", "https://h/\n"),
    ],
)
def test_urls_that_no_platform_would_post_to(url: str) -> None:
    with pytest.raises(ConfigurationError, match="destination_url"):
        require_audiohook(hook(url))


@pytest.mark.parametrize("url", ["https://h/", "https://h:8443/in?tenant=a", "https://1.2.3.4/x"])
def test_urls_that_are_taken(url: str) -> None:
    require_audiohook(hook(url))


@given(url=st.text(max_size=60), name=st.text(max_size=200), key=st.text(max_size=60))
def test_any_wish_is_judged_and_never_shown_its_key(url: str, name: str, key: str) -> None:
    assume("canary" not in name + url)
    wish = AudioHookWish(name, url, encryption_key=Redacted("canary!" + key))  # no base64
    with pytest.raises(ConfigurationError) as judged:
        require_audiohook(wish)
    assert all(fault.remedy for fault in judged.value.faults)
    assert "canary" not in str(judged.value)


@pytest.mark.parametrize("length", range(1, 40))
def test_only_keys_of_aes_are_taken(length: int) -> None:
    wish = hook(key=bytes(length))
    if length in {16, 24, 32}:
        require_audiohook(wish)
    else:
        with pytest.raises(ConfigurationError, match=f"has {length} bytes"):
            require_audiohook(wish)


def parties(*states: str, held: bool = False) -> dict[str, Any]:
    purposes = ["customer", "acd", "agent"]
    return {
        "participants": [
            {"purpose": purpose, "calls": [{"state": state, "held": held}]}
            for purpose, state in zip(purposes, states, strict=False)
        ]
    }


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"state": "connected"}, "connected"),
        ({"state": "ALERTING"}, "alerting"),
        ({"state": "terminated"}, "disconnected"),
        (parties("connected", "disconnected", "alerting"), "alerting"),
        (parties("connected", "disconnected"), "alerting"),
        (parties("connected", "disconnected", "connected"), "connected"),
        (parties("connected", "disconnected", "connected", held=True), "held"),
        (parties("disconnected", "disconnected", "connected"), "disconnecting"),
        (parties("terminated", "disconnected", "disconnected"), "disconnected"),
        ({**parties("connected", "connected"), "endTime": "2026-01-01T00:00:00Z"}, "disconnected"),
    ],
)
def test_the_state_of_a_conversation_is_read(fields: dict[str, Any], state: str) -> None:
    assert read_state(fields) is ConversationState(state)


@pytest.mark.parametrize("fields", [{}, {"state": "dreaming"}, {"participants": [1, {"calls": 2}]}])
def test_what_is_no_conversation_is_not_guessed(fields: dict[str, Any]) -> None:
    with pytest.raises(AnswerUnreadable):
        read_state(fields)


def test_a_proxy_is_taken_apart_and_its_password_never_shown() -> None:
    proxy = read_proxy("proxy", "http://user:can%40ry@proxy.example:3128")
    assert proxy.url == "http://proxy.example:3128"
    assert proxy.authorization == "Basic " + base64.b64encode(b"user:can@ry").decode()
    assert "Basic" not in repr(proxy)
    assert read_proxy("proxy", "proxy.example").url == "http://proxy.example:80"
    for text in ("https://canary@h", "socks5://canary@h", "http://", "http://h:canary"):
        with pytest.raises(ConfigurationError) as refused:
            read_proxy("proxy", text)
        assert "canary" not in str(refused.value)


def test_without_a_word_in_the_environment_no_proxy_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxy_for("https://h", NetworkSettings()) is None
    monkeypatch.setenv("https_proxy", "http://p:1")
    found = proxy_for("https://h", NetworkSettings())
    assert found is not None
    assert found.url == "http://p:1"
    assert proxy_for("https://h", NetworkSettings(use_environment_proxies=False)) is None
    assert "canary" not in repr(NetworkSettings(proxy=SecretStr("http://a:canary@h")))


def test_requests_and_answers_show_no_content() -> None:
    request = Request("POST", "https://h/x", {"Authorization": "Bearer canary"}, b"canary")
    assert "canary" not in repr(request) + repr(Answer(200, {"a": "canary"}, b"canary"))
