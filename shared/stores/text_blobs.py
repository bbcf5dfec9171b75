"""Texts too long for a row, kept as blobs in UTF-8 under names that say what they hold."""

from shared.ports import Blobs


class TextBlobs:
    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def put(self, name: str, text: str) -> None:
        self._blobs.put(name, text.encode())

    def read(self, name: str) -> str:
        """Raises KeyError."""
        return b"".join(self._blobs.read(name)).decode()

    def delete(self, name: str) -> None:
        self._blobs.delete(name)
