"""The thin typed face of the native core; nobody else imports it.

`format` says what a peer sends, `pipeline` decodes it into a ring, `feed` reads rings, `stream`
speaks the PCM stream, `gaps` and `g711` are what their names say. Native classes are passed on
as they are: a call per frame must not cost a second call.
"""
