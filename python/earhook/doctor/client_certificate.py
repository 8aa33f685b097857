"""Mutual TLS: is a certificate of ours asked for, demanded, and is the one we have good?"""

from __future__ import annotations

from .errand import Errand
from .finding import Finding, Step, doubtful, fine, wrong
from .handshake import Handshake
from .http import AskFailed, ask
from .network import Reached

__all__ = ["check_client_certificate"]


async def check_client_certificate(
    errand: Errand, reached: Reached, handshake: Handshake
) -> Finding:
    """Come without a certificate, and with ours if there is one.

    In TLS 1.3 a client learns of its refusal only when it reads, so something is asked.
    """
    bare = await _objection(errand, reached, with_certificate=False)
    demanded = bare.wants_certificate if bare is not None else False
    if not demanded and not handshake.asked_certificate:
        return fine(Step.CLIENT_CERTIFICATE, "none is asked for", asked=False, demanded=False)
    figures = {"asked": True, "demanded": demanded}
    if errand.trust.certificate is None:
        if not demanded:
            return fine(Step.CLIENT_CERTIFICATE, "asked for, not demanded", **figures)
        cure = f"{_AGREE}; to examine further, give one with --certificate"
        return wrong(Step.CLIENT_CERTIFICATE, f"demanded: {bare}", cure, **figures)
    objection = await _objection(errand, reached, with_certificate=True)
    if objection is not None and objection.wants_certificate:
        cure = "have it issued by an authority of the server's client_ca, and on its list"
        return wrong(Step.CLIENT_CERTIFICATE, f"ours is refused: {objection}", cure, **figures)
    if demanded:
        evidence = "demanded, and ours is accepted"
        return doubtful(Step.CLIENT_CERTIFICATE, evidence, _AGREE, **figures)
    return fine(Step.CLIENT_CERTIFICATE, "asked for, not demanded; ours is accepted", **figures)


async def _objection(
    errand: Errand, reached: Reached, *, with_certificate: bool
) -> AskFailed | None:
    context = errand.trust.bare_context(with_certificate=with_certificate)
    try:
        await ask(errand, reached, context, ("HEAD", {}, b""))
    except AskFailed as failure:
        return failure
    return None


_AGREE = "whether Genesys Cloud shows a certificate, and whose, has to be agreed with it"
