"""The AudioHooks dialect from end to end: checked, made disabled, tested, watched, bound."""

from __future__ import annotations

import base64
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from earhook.errors import ConfigurationError
from earhook.genesys import AudioHookWish, ConversationState, Finding, examine_endpoint
from earhook.genesys.errors import (
    ConversationOver,
    NotReached,
    NotThere,
    RequestRefused,
    StateConflict,
)
from earhook.ops.redaction import Redacted
from earhook.testing.genesys import Endpoint, LifeCycle, Mishap

CANARY = base64.b64encode(b"canary-key-of-32-bytes-in-total!").decode()
WISH = AudioHookWish("earhook", "https://gateway.example/ingest", "OPUS", Redacted(CANARY))


def test_the_whole_life_of_an_audiohook(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            hooks = scene.fake.organization.audiohooks
            made = await scene.cloud.audiohooks.provision(WISH)
            assert made.status == "ENABLED"
            assert sum(scene.naps) == 90
            assert hooks[made.id]["encryptionKey"] == CANARY
            assert [one.id for one in await scene.cloud.audiohooks.list()] == [made.id]
            other = replace(WISH, format="PCMU")
            assert (await scene.cloud.audiohooks.write(made.id, other, "DISABLED")).format == "PCMU"
            await scene.cloud.audiohooks.delete(made.id)
            await scene.cloud.audiohooks.delete(made.id)
            assert not hooks

    run(story())


def test_an_unfit_endpoint_stays_disabled_and_is_told(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.findings = [Finding("post", False, "answers 404", "answer POST with 200")]
            with pytest.raises(NotReached, match="answers 404"):
                await scene.cloud.audiohooks.provision(WISH)
            (hook,) = scene.fake.organization.audiohooks.values()
            assert hook["status"] == "DISABLED"
            assert not scene.naps

    run(story())


def test_what_the_platform_disables_later_is_explained(run: Any, play: Any) -> None:
    async def refuse(_endpoint: Endpoint) -> str:
        return "TLS handshake failed"

    async def story() -> None:
        async with play() as scene:
            scene.fake.health.examine = refuse
            scene.fake.health.after_seconds = 40

            def decay() -> None:
                scene.findings = [Finding("tls", False, "it has expired", "renew it")]

            scene.while_napping = decay
            with pytest.raises(NotReached, match=r"TLS handshake failed.*it has expired") as failed:
                await scene.cloud.audiohooks.provision(WISH)
            assert failed.value.state == "DISABLED"
            assert 40 <= sum(scene.naps) <= 44

    run(story())


def test_every_fault_of_a_wish_is_told_at_once(run: Any, play: Any) -> None:
    url = "http://u:p@h.example/{id}?ts=1&tenant=2#x"
    wish = AudioHookWish("", url, "opus", Redacted("AAAA"))  # type: ignore[arg-type]

    async def story() -> None:
        async with play() as scene:
            with pytest.raises(ConfigurationError) as failed:
                await scene.cloud.audiohooks.create(wish)
            text = str(failed.value)
            where = [fault.where for fault in failed.value.faults]
            assert where.count("destination_url") == 5
            assert {"name", "format", "encryption_key"} <= set(where)
            assert "write OPUS" in text
            assert "tenant" not in text
            assert "AAAA" not in text
            assert not scene.fake.requests
            await scene.cloud.audiohooks.create(WISH)
            with pytest.raises(ConfigurationError, match="another AudioHook already"):
                await scene.cloud.audiohooks.create(replace(WISH, name="EarHook"))

    run(story())


def test_what_an_answer_echoes_shows_no_key(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            body = f'{{"message": "bad key {CANARY}", "code": "{CANARY}"}}'.encode()
            scene.fake.mishaps.append(Mishap(400, "POST", "/audiohooks", body=body))
            with pytest.raises(RequestRefused) as refused:
                await scene.cloud.audiohooks.create(WISH)
            assert CANARY not in str(refused.value)
            assert CANARY not in refused.value.code
            assert CANARY not in repr(WISH)

    run(story())


def test_one_whose_making_was_not_answered_is_found(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.mishaps.append(Mishap(0, "POST", "/audiohooks", is_done=True))
            made = await scene.cloud.audiohooks.create(WISH)
            assert list(scene.fake.organization.audiohooks) == [made.id]

    run(story())


def test_audio_is_bound_when_the_call_is_connected_and_not_before(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            hook = await scene.cloud.audiohooks.create(WISH)
            conversation = scene.fake.begin_conversation()
            with pytest.raises(NotReached, match="alerting"):
                await scene.cloud.audiohooks.bind(conversation.id, hook.id)
            assert scene.sent("POST", "/events") == 0

            def answer() -> None:
                if len(scene.naps) == 3:
                    conversation.state = LifeCycle.CONNECTED

            scene.while_napping = answer
            state = await scene.cloud.audiohooks.bind(
                conversation.id, hook.id, wait_connected_seconds=60
            )
            assert state is ConversationState.CONNECTED
            assert conversation.bound == [hook.id]

    run(story())


def test_a_conflict_is_sat_out_while_the_conversation_is_active(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            hook = await scene.cloud.audiohooks.create(WISH)
            conversation = scene.fake.begin_conversation(LifeCycle.HELD)
            conversation.conflicts = 3
            assert await scene.cloud.audiohooks.bind(conversation.id, hook.id) == "held"
            assert len(scene.naps) == 3
            conversation.conflicts = 1000
            with pytest.raises(StateConflict, match="has lasted 30 s"):
                await scene.cloud.audiohooks.bind(conversation.id, hook.id)

    run(story())


@pytest.mark.parametrize("end", [LifeCycle.DISCONNECTING, LifeCycle.DISCONNECTED])
def test_a_conversation_that_ends_meanwhile_is_told(run: Any, play: Any, end: LifeCycle) -> None:
    async def story() -> None:
        async with play() as scene:
            hook = await scene.cloud.audiohooks.create(WISH)
            conversation = scene.fake.begin_conversation(LifeCycle.CONNECTED)
            conversation.conflicts = 1000

            def hang_up() -> None:
                conversation.state = end

            scene.while_napping = hang_up
            with pytest.raises(ConversationOver, match=f"is {end}") as over:
                await scene.cloud.audiohooks.bind(conversation.id, hook.id)
            assert over.value.state == end
            posts = scene.sent("POST", "/events")
            with pytest.raises(ConversationOver):
                await scene.cloud.audiohooks.bind(conversation.id, hook.id)
            assert scene.sent("POST", "/events") == posts == 1
            with pytest.raises(NotThere):
                await scene.cloud.audiohooks.bind("unknown", hook.id)

    run(story())


def test_recording_is_paused_and_resumed(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            conversation = scene.fake.begin_conversation(LifeCycle.CONNECTED)
            await scene.cloud.conversations.pause_recording(conversation.id)
            assert conversation.recording == "PAUSED"
            await scene.cloud.conversations.resume_recording(conversation.id)
            assert conversation.recording == "ACTIVE"
            conversation.state = LifeCycle.DISCONNECTED
            with pytest.raises(StateConflict):
                await scene.cloud.conversations.pause_recording(conversation.id)

    run(story())


def test_an_endpoint_is_seen_as_the_platform_sees_it(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    authorities = tmp_path / "ca.pem"
    certificate_authority.cert_pem.write_to_path(str(authorities))
    posts = iter([200, 404])

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.method == "GET" else next(posts))

    async def story() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
        application = web.Application()
        application.router.add_route("*", "/in", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        port = runner.addresses[0][1]
        try:
            url = f"https://127.0.0.1:{port}/in"
            good = await examine_endpoint(url, authorities)
            assert [(one.check, one.is_good) for one in good] == [
                ("tls", True),
                ("get", True),
                ("post", True),
            ]
            bad = await examine_endpoint(url, authorities)
            assert [str(one) for one in bad if not one.is_good] == [
                "post: bad: answers 404 (answer POST with 200)"
            ]
            (private,) = await examine_endpoint(url)
            assert not private.is_good
            assert "public" in private.cure
            (named,) = await examine_endpoint(f"https://localhost:{port}/in", authorities)
            assert "another name" in named.cure
        finally:
            await runner.cleanup()
        (gone,) = await examine_endpoint(url, authorities)
        assert gone.what.startswith("no connection")

    run(story())
