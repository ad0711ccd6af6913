"""What services on remote APIs share: keys, pace, retries, images on the wire, the cache of replies.

A service brings its provider's language, a `Dialect`, and is a `RemoteModel`; all else is here. Needs httpx
(with anyio, which that brings) and tenacity, so nothing else of the kit imports it.
"""
