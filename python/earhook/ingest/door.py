"""What a request to the ingest is answered: a check, a block of a call, or a whole call.

In the order of the questions: is it for us, is it only a look whether we are here, who sends it,
which call is it about, is there room for a new one, can we read its body. No answer waits for
anything but the request's own body: what is behind the ring is nobody's affair here.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from earhook.edge.path import is_below
from earhook.errors import (
    CapacityError,
    CoreFault,
    DuplicateSession,
    EncryptionError,
    MalformedFrame,
)
from earhook.ids import (
    NIL_UUID,
    ConversationId,
    CorrelationId,
    OrganizationId,
    SessionId,
    same_uuid,
)
from earhook.media.format import Channel
from earhook.media.intake import EncryptionKeys, StreamFormat
from earhook.ops.logging import get_limited_logger, get_state_logger
from earhook.protocol.events import Ending

from .block_head import BlockHead, HeadFault, has_end_mark, read_block_head
from .blocks import Standing
from .call import IngestCall, Opening, Taken
from .calls import NOBODY, EndedCall, IngestCalls, IsElsewhere
from .credentials import Accepted, Authenticate, IngestRequest, Party
from .delay import DelayGauge, PartyDelays, read_delay
from .document import answer_fields, ended_fields
from .exchange import BodyError
from .held import HeldBytes
from .media_type import ACCEPTED_TYPES, Unsupported, read_media_type
from .passing import owner_lost
from .refusal import Refusal, Word
from .reply import Reply, json_reply, plain_reply
from .shares import FULL_RETRY_SECONDS, CallCap

if TYPE_CHECKING:
    from earhook.edge.admission import Admit
    from earhook.edge.request import RequestHead

    from .exchange import Exchange
    from .passing import Passing

__all__ = ["DoorQuestions", "IngestDoor"]

DELAYED_RETRY_SECONDS: Final = 5
MOVES: Final = 4
"""How often a request is looked for a place anew, because its call began or ended meanwhile."""


class DoorQuestions(NamedTuple):
    """What the door asks the rest of the house.

    Attributes:
        authenticate: Who sends a request; asked on every one that is not a check.
        admit: Whether a new call may come in.
        keys: The keys in service that bodies are encrypted with; None: there are none.
        cap: How many calls a credential may have.
        passing: The way to the calls of other processes; None: there are none.
    """

    authenticate: Authenticate
    admit: Admit
    keys: Callable[[], EncryptionKeys | None]
    cap: CallCap = lambda _name: None
    passing: Passing | None = None


class IngestDoor:
    """Answers the requests of one ingest port. On the loop's thread only.

    Attributes:
        delay: Of all calls together.
    """

    def __init__(self, calls: IngestCalls, questions: DoorQuestions) -> None:
        self.delay = DelayGauge(_limit_seconds(calls))
        self._calls = calls
        self._questions = questions
        self._delays = PartyDelays(_limit_seconds(calls))
        self._delayed: set[Party] = set()

    async def answer(self, exchange: Exchange) -> Reply:
        """Answer one request; it is the server's `Answer`."""
        request = exchange.head
        if not is_below(request.path, self._calls.settings.path):
            return plain_reply(404)
        if request.method != "POST" or (exchange.body_bytes == 0 and not has_end_mark(request)):
            self._calls.tally.checks += 1
            return plain_reply(200)
        clock = self._calls.clock
        asked = IngestRequest(request, exchange.address)
        verdict = await self._questions.authenticate(asked, clock.wall_seconds())
        if not isinstance(verdict, Accepted):
            self._calls.tally.unauthorized += 1
            challenge = (("WWW-Authenticate", verdict.challenge),)
            return plain_reply(verdict.status, headers=challenge)
        exchange.proven()
        return await self._serve_anywhere(exchange, verdict)

    async def answer_passed(self, exchange: Exchange, sender: Accepted) -> Reply | None:
        """Answer a request that came in at another process; None: its call is not here."""
        try:
            return await self._serve(exchange, sender, is_passed=True)
        except IsElsewhere:
            return None

    def replace_limits(self) -> None:
        """The settings of the calls were replaced: put the limit of delay in service."""
        self.delay.replace_limit(_limit_seconds(self._calls))
        self._delays.replace_limit(_limit_seconds(self._calls))

    async def _serve_anywhere(self, exchange: Exchange, sender: Accepted) -> Reply:
        """Serve a request whose sender is known, where its call is."""
        try:
            for _ in range(MOVES):
                try:
                    return await self._serve(exchange, sender)
                except IsElsewhere as elsewhere:
                    passing, owner = self._questions.passing, elsewhere.generation
                if passing is None:
                    break
                outcome = await passing.pass_on(exchange, sender, owner)
                if isinstance(outcome, Reply):
                    return outcome
                exchange = outcome
            raise owner_lost()
        except Refusal as refusal:
            return self._refuse(exchange, refusal, sender, None)

    async def _serve(
        self, exchange: Exchange, sender: Accepted, *, is_passed: bool = False
    ) -> Reply:
        """Serve a request whose sender is known, and whose call is here, or begins here.

        Args:
            exchange: The request.
            sender: Who sends it.
            is_passed: Whether another process found that its call is here: none begins with it.

        Raises:
            IsElsewhere: The call is not here.
        """
        call: IngestCall | None = None
        try:
            head = read_block_head(exchange.head)
            if isinstance(head, HeadFault):
                raise Refusal(400, head)
            found = self._find(head, sender, is_passed=is_passed)
            delay = self._observe_delay(exchange.head, sender)
            if isinstance(found, EndedCall):
                return self._answer_ended(exchange, found, head, sender)
            if exchange.body_bytes == 0:
                return await self._serve_mark(found, head)
            keys, call = self._call_for(exchange.head, head, sender, found)
            call.note_delay(delay)
            try:
                if exchange.body_bytes is None and head.sequence is None:
                    return await self._serve_stream(exchange, call, head, keys)
                return await self._serve_block(exchange, call, head, keys)
            finally:
                self._calls.rest(call)
        except CoreFault:
            if call is not None:
                call.end(Ending.DISCONNECTED)
            raise
        except Refusal as refusal:
            opening = None if call is None else call.opening
            return self._refuse(exchange, refusal, sender, opening)

    # Which call it is about.

    def _find(
        self, head: BlockHead, sender: Accepted, *, is_passed: bool
    ) -> IngestCall | EndedCall | None:
        """The call that a request names; None if it is to begin one.

        Raises:
            IsElsewhere: It is another process's.
        """
        found = None if head.session is None else self._calls.find(head.session)
        if found is None and is_passed:
            raise IsElsewhere(NOBODY)
        if found is None and head.session is not None:
            self._calls.require_here(head.session)
        if found is not None:
            opening = found.opening
            if opening.sender.identity != sender.identity:
                raise Refusal(403, Word.SENDER)
            named = head.organization
            if named is not None and not same_uuid(named, opening.organization_id):
                raise Refusal(403, Word.ORGANIZATION)
            # Two senders may have one identity and speak for different organizations: tokens of
            # one name, or of an issuer that does not say who they were issued to.
            allowed = sender.organizations
            if allowed and opening.organization_id.lower() not in allowed:
                raise Refusal(403, Word.ORGANIZATION)
        return found

    def _call_for(
        self,
        request: RequestHead,
        head: BlockHead,
        sender: Accepted,
        found: IngestCall | None,
    ) -> tuple[EncryptionKeys | None, IngestCall]:
        """The call that a body is for, and what it is to be decrypted with."""
        organization = None
        if found is None:
            organization = _organization(head, sender)
            self._require_room(sender)
        stream = read_media_type(request.value("content-type"))
        if isinstance(stream, Unsupported):
            raise Refusal(
                415,
                Word.MEDIA_TYPE,
                headers=(("Accept-Post", ", ".join(ACCEPTED_TYPES)),),
                more={"reason": str(stream), "accepted": ACCEPTED_TYPES},
                reason=str(stream),
            )
        keys = self._keys_for(request)
        if found is not None:
            opening = found.opening
            if stream != opening.stream or opening.encrypted is not (keys is not None):
                raise Refusal(409, Word.FORMAT_CHANGED)
            return keys, found
        self._require_share(sender)
        opening = Opening(
            session_id=SessionId(head.session or str(uuid.uuid4())),
            organization_id=organization or OrganizationId(NIL_UUID),
            conversation_id=ConversationId(head.conversation or str(uuid.uuid4())),
            correlation_id=CorrelationId(head.correlation or str(uuid.uuid4())),
            sender=sender,
            stream=stream,
            rate=self._calls.settings.rate,
            channels=_channels(stream, head.channel),
            encrypted=keys is not None,
        )
        with _hub_refusals(self._calls):
            return keys, self._calls.make(opening)

    def _require_room(self, sender: Accepted) -> None:
        """Refuse a new call where there is no room, or where audio comes too late already.

        Too late is judged for each party by what it told itself: who tells what is not so, keeps
        only its own calls out.
        """
        admission = self._questions.admit()
        if not admission.admitted or admission.probe_only:
            # Who refused it has counted it.
            wait_seconds = admission.retry_after_seconds
            raise Refusal.retry(429, Word.NO_ROOM, wait_seconds, admission.reason)
        party, now = sender.party, self._calls.clock.monotonic_seconds()
        is_over = self._delays.is_over(party, now)
        if is_over is not (party in self._delayed):
            self._tell_delay(party, is_over=is_over)
        if is_over:
            self._calls.tally.calls_refused[Word.DELAYED] += 1
            raise Refusal.retry(429, Word.DELAYED, DELAYED_RETRY_SECONDS)

    def _require_share(self, sender: Accepted) -> None:
        """Refuse a new call of a sender that has its share, or begins them too fast."""
        calls, cap = self._calls, self._questions.cap(sender.name)
        now = calls.clock.monotonic_seconds()
        try:
            calls.shares.require(sender.party, calls.settings, cap, now)
        except Refusal as refusal:
            calls.tally.calls_refused[refusal.reason] += 1
            raise

    def _tell_delay(self, party: Party, *, is_over: bool) -> None:
        if not is_over:
            self._delayed.discard(party)
            _STATE_LOG.info("ingest.delay_ended", key=party[0])
            return
        self._delayed.add(party)
        _STATE_LOG.warning(
            "ingest.delayed",
            key=party[0],
            smoothed_milliseconds=round((self._delays.smoothed_seconds(party) or 0.0) * 1000),
            limit_milliseconds=self._calls.settings.delay_limit_milliseconds,
            remedy="new calls get 429: compare the clocks of sender and gateway, then the network",
        )

    def _keys_for(self, request: RequestHead) -> EncryptionKeys | None:
        """The keys for an encrypted body; None for one that is not (RFC 9110 §8.4)."""
        coding = (request.value("content-encoding") or "identity").lower()
        keys = self._questions.keys()
        if coding == "identity" and self._calls.settings.encryption == "optional":
            return None
        if coding == "aes128gcm" and keys is not None:
            return keys
        accepted = "identity" if keys is None else "aes128gcm"
        headers = (("Accept-Encoding", accepted),)
        raise Refusal(415, Word.CONTENT_ENCODING, headers=headers)

    def _observe_delay(self, request: RequestHead, sender: Accepted) -> float | None:
        stamp = request.value("x-genesys-cloud-timestamp")
        if stamp is None:
            return None
        clock = self._calls.clock
        delay = read_delay(stamp, clock.wall_seconds())
        now = clock.monotonic_seconds()
        self.delay.observe(delay, now)
        self._delays.observe(sender.party, delay, now)
        return delay

    # A block.

    async def _serve_block(
        self,
        exchange: Exchange,
        call: IngestCall,
        head: BlockHead,
        keys: EncryptionKeys | None,
    ) -> Reply:
        """Read a block as a whole, wait for those before it, take it."""
        if call.streaming:
            raise Refusal(409, Word.BUSY)
        hold = self._calls.held.hold(call.opening.sender.party, self._calls.settings)
        with hold as held, call.turns.turn(head.sequence) as turn:
            try:
                async with asyncio.timeout(self._calls.settings.limits.body_seconds):
                    body = await self._read_block(exchange, held)
            except TimeoutError:
                raise Refusal(408, Word.TOO_SLOW, close=True) from None
            await call.turns.wait(turn)
            self._require_alive(call)
            if not body and not call.is_live:
                return self._answer_nothing(head)
            with _hub_refusals(self._calls):
                taken = await call.take_block(
                    body, head.sequence, head.position, keys, lambda: exchange.is_gone
                )
            if taken.standing is Standing.BEYOND:
                raise Refusal(400, Word.BEYOND)
            if taken.fault is Word.ENDED:
                self._require_alive(call)  # it ended while the block was held back
            if head.end and taken.fault is None:
                call.end(Ending.COMPLETED)
        return self._reply(call, taken, head.sequence)

    async def _read_block(self, exchange: Exchange, held: HeldBytes) -> bytes:
        """Read a body that is to be taken as a whole, as far as there is room for it."""
        limit = self._calls.settings.limits.body_bytes
        if (exchange.body_bytes or 0) > limit:
            raise Refusal(413, Word.TOO_LARGE, close=True)
        pieces: list[bytes] = []
        async for piece in exchange.body():
            held.add(len(piece))
            if held.size_bytes > limit:
                raise Refusal(413, Word.TOO_LARGE, close=True)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _serve_mark(self, found: IngestCall | None, head: BlockHead) -> Reply:
        """An empty request that says whether the call ends."""
        if found is None:
            raise Refusal(404, Word.UNKNOWN_SESSION)
        if found.streaming:
            raise Refusal(409, Word.BUSY)
        try:
            # Behind every block that is under way, whatever its number is.
            with found.turns.turn(_LAST) as turn:
                await found.turns.wait(turn)
                if head.end:
                    found.end(Ending.COMPLETED)
        finally:
            self._calls.rest(found)
        return self._reply(found, Taken(Standing.NEXT), head.sequence)

    def _answer_nothing(self, head: BlockHead) -> Reply:
        """A body of no length, told at its end only, and no call that it could belong to."""
        if head.end is not None:
            raise Refusal(404, Word.UNKNOWN_SESSION)
        self._calls.tally.checks += 1
        return plain_reply(200)

    def _answer_ended(
        self, exchange: Exchange, ended: EndedCall, head: BlockHead, sender: Accepted
    ) -> Reply:
        """A request about a call that has ended: a repetition of what is known, or too late."""
        known, number = ended.next_sequence, head.sequence
        is_repeated = number is not None and known is not None and number < known
        is_repeated = is_repeated and number not in ended.partly_taken
        if ended.ending is not Ending.COMPLETED or not (is_repeated or exchange.body_bytes == 0):
            return self._refuse(exchange, Refusal(410, Word.ENDED), sender, ended.opening)
        self._calls.tally.duplicate_blocks += 1
        fields = ended_fields(ended.opening, ended.position, number)
        return json_reply(200, fields, headers=ended.opening.headers())

    # A stream.

    async def _serve_stream(
        self,
        exchange: Exchange,
        call: IngestCall,
        head: BlockHead,
        keys: EncryptionKeys | None,
    ) -> Reply:
        """Take a body as it comes, until its end or ours."""
        if call.is_busy:
            raise Refusal(409, Word.BUSY)
        tally = self._calls.tally
        call.streaming, call.sender = True, exchange
        tally.streams += 1
        before = call.position, call.heard_samples
        try:
            async with call.limited(self._calls.settings.authorised_seconds):
                fault = await self._take_stream(exchange, call, head, keys)
        except TimeoutError:
            self._require_alive(call)
            call.quiet_ending = Ending.DISCONNECTED
            tally.streams_cut += 1
            raise Refusal(408, Word.TOO_LONG, close=True) from None
        except BodyError:
            tally.streams_cut += 1
            raise
        finally:
            call.unlimited()
            call.streaming, call.sender = False, None
        if not call.is_live:
            tally.checks += 1
            return plain_reply(200)  # not one byte came: somebody looked whether we are here
        self._require_alive(call)
        if fault is None and head.end is not False:
            call.end(Ending.COMPLETED)
        accepted = call.heard_samples - before[1]
        gap_samples = call.position - before[0] - accepted
        return self._reply(call, Taken(Standing.NEXT, accepted, gap_samples, fault), None)

    async def _take_stream(
        self,
        exchange: Exchange,
        call: IngestCall,
        head: BlockHead,
        keys: EncryptionKeys | None,
    ) -> Word | None:
        """Take the pieces of a stream; what is wrong with one, if something is."""
        began = self._calls.settings.acknowledge == "headers"
        if began:
            self._begin_stream(call, head, keys)
            await exchange.acknowledge(self._reply(call, Taken(Standing.NEXT), None))
        try:
            async for piece in exchange.body():
                if not began:
                    # The call opens with its first byte: a body without any is only a check.
                    self._begin_stream(call, head, keys)
                    began = True
                await call.take_piece(piece)
                if call.ending is not None:
                    return None
            if began:
                await call.end_body()
        except (MalformedFrame, EncryptionError) as error:
            return call.note_fault(error)
        call.quiet_ending = Ending.TIMED_OUT
        return None

    def _begin_stream(self, call: IngestCall, head: BlockHead, keys: EncryptionKeys | None) -> None:
        place = call.place(None, head.position)
        if place.standing is Standing.BEYOND:
            raise Refusal(400, Word.BEYOND)
        if place.standing is not Standing.NEXT:
            raise Refusal(409, Word.OVERLAP, more={"position": call.position})
        call.quiet_ending = Ending.LOST
        with _hub_refusals(self._calls):
            call.open()
        call.skip(None, place)
        call.begin_body(keys)

    # Answers.

    def _reply(self, call: IngestCall, taken: Taken, sequence: int | None) -> Reply:
        fields = answer_fields(call, taken, sequence)
        status = 200 if taken.fault is None else _FAULT_STATUS.get(taken.fault, 400)
        goes_on = call.ending is None
        return json_reply(status, fields, headers=call.opening.headers(), carries_call=goes_on)

    def _refuse(
        self, exchange: Exchange, refusal: Refusal, sender: Accepted, opening: Opening | None
    ) -> Reply:
        self._calls.tally.refusals[refusal.word] += 1
        more = {"reason": refusal.reason} if refusal.reason else {}
        if opening is not None:
            more["session"] = opening.session_id
        _PEER_LOG.warning(
            "ingest.refused",
            error=str(refusal.word),
            status=refusal.status,
            key=sender.name,
            address=exchange.address,
            **more,
        )
        return refusal.reply(() if opening is None else opening.headers())

    def _require_alive(self, call: IngestCall) -> None:
        """Refuse what comes for a call that was ended meanwhile."""
        if call.ending is not None:
            raise Refusal(410, Word.ENDED, close=call.streaming)


def _organization(head: BlockHead, sender: Accepted) -> OrganizationId:
    """Whose call it is: what the request names, else what its credential is for."""
    allowed, named = sender.organizations, head.organization
    if named is None:
        if len(allowed) > 1:
            raise Refusal(400, HeadFault.ORGANIZATION)
        return OrganizationId(next(iter(allowed), NIL_UUID))
    if allowed and named.lower() not in allowed:
        raise Refusal(403, Word.ORGANIZATION)
    return OrganizationId(named)


def _channels(stream: StreamFormat, mono: Channel) -> tuple[int, ...]:
    """Whose voices: the customer's comes first where there are two."""
    if stream.channels == 1:
        return (int(mono),)
    return (int(Channel.EXTERNAL), int(Channel.INTERNAL))


@contextmanager
def _hub_refusals(calls: IngestCalls) -> Iterator[None]:
    """Turn the hub's refusal of a call into an answer."""
    try:
        yield
    except CapacityError:
        calls.tally.calls_refused[Word.NO_ROOM] += 1
        raise Refusal.retry(429, Word.NO_ROOM, FULL_RETRY_SECONDS) from None
    except DuplicateSession:
        calls.tally.calls_refused[Word.DUPLICATE_SESSION] += 1
        raise Refusal(409, Word.DUPLICATE_SESSION) from None


def _limit_seconds(calls: IngestCalls) -> float | None:
    return calls.settings.delay_limit_milliseconds / 1000 or None


_LAST: Final = 1 << 62
_FAULT_STATUS: Final = {Word.TOO_MUCH: 413, Word.CUT: 409}
_PEER_LOG: Final = get_limited_logger(__name__)
_STATE_LOG: Final = get_state_logger(__name__)
