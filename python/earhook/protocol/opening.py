"""Judging `open`: what we answer, decided from memory alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from earhook.ids import CorrelationId, OrganizationId, SessionId, same_uuid

from .events import Ending, SessionFacts
from .messages import Channel, DisconnectReason, MediaOffer, Open, Opened
from .negotiate import choose_media
from .position import samples_from_seconds
from .settings import Product, SessionSettings, WithoutMedia

__all__ = ["Identity", "Opening", "Parting", "judge_open"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the upgrade request said is calling.

    With `authorized` False the session answers `open` with `disconnect` `unauthorized`,
    for operators who want Genesys administrators to see a reason (AudioHook protocol §2.1).
    """

    session_id: SessionId
    organization_id: OrganizationId
    correlation_id: CorrelationId
    authorized: bool = True


@dataclass(frozen=True, slots=True)
class Opening:
    """An accepted `open`: the answer and the facts. `facts` is None for a probe."""

    opened: Opened
    facts: SessionFacts | None


@dataclass(frozen=True, slots=True)
class Parting:
    """Why we ask for the end, in words that may be shown to the peer's administrators."""

    reason: DisconnectReason
    ending: Ending
    detail: str
    info: str | None = None
    output_variables: Mapping[str, str] | None = field(default=None, repr=False)

    @classmethod
    def violation(cls, rule: str) -> Parting:
        """The peer broke a rule of the protocol."""
        return cls(DisconnectReason.ERROR, Ending.VIOLATION, rule, rule)


Judgement: TypeAlias = Opening | Parting


def judge_open(
    message: Open, identity: Identity, settings: SessionSettings, *, start_paused: bool
) -> Judgement:
    """Decide what to answer to `open`; needs nothing but memory, so it takes no time."""
    if not identity.authorized:
        return _unauthorized("the upgrade request was not authorised")
    if not same_uuid(message.organization_id, identity.organization_id):
        return _unauthorized("open names another organization than the upgrade request")
    languages = settings.supported_languages if message.wants_languages else None
    if message.is_probe:
        # A connection test needs no audio, and leaves no trace (§10).
        return Opening(Opened(None, supported_languages=languages), None)
    media = choose_media(message.offers, settings.wish)
    if media is None and settings.wish.without_media is WithoutMedia.REFUSE:
        rule = "none of the offered media is supported"
        return Parting(DisconnectReason.ERROR, Ending.REFUSED, rule, rule)
    opened = Opened(
        media,
        start_paused=start_paused and media is not None,
        discard_to=_discard_to(settings, media),
        supported_languages=languages,
    )
    return Opening(opened, _facts(message, identity, settings, opened))


def _unauthorized(detail: str) -> Parting:
    # The peer never learns why (§2.1).
    return Parting(DisconnectReason.UNAUTHORIZED, Ending.REFUSED, detail)


def _discard_to(settings: SessionSettings, media: MediaOffer | None) -> int | None:
    if settings.discard_to_seconds is None or media is None:
        return None
    return samples_from_seconds(settings.discard_to_seconds)


def _facts(
    message: Open, identity: Identity, settings: SessionSettings, opened: Opened
) -> SessionFacts:
    return SessionFacts(
        session_id=identity.session_id,
        organization_id=message.organization_id,
        conversation_id=message.conversation_id,
        correlation_id=identity.correlation_id,
        product=_product(message, settings.product),
        media=opened.media,
        participant=message.participant,
        language=message.language,
        start_paused=opened.start_paused,
        custom_config=message.custom_config,
        input_variables=message.input_variables,
    )


def _product(message: Open, configured: Product) -> Product:
    """Tell the product by what only it sends (§1), where the operator did not say."""
    if configured is not Product.AUTO:
        return configured
    channels = {offer.channels for offer in message.offers}
    if message.input_variables is not None and channels == {(Channel.EXTERNAL,)}:
        return Product.CONNECTOR
    if message.language is not None or message.wants_languages:
        return Product.TRANSCRIPTION
    return Product.MONITOR
