"""What xarray reads a store through: the root document that was checked, and no chunk that is not as committed.

A chunk that must be there and is not, or does not match its checksum, is an error; one that was written but not yet
committed is not there. The last chunk of a scenario is cut at the committed row.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from tmepde.io import chunks, root
from tmepde.io.root import MARK, DamagedError, StoreError


class CommittedStore(LocalStore):
    """A folder as its root document says; read only."""

    def __init__(self, place: Path | str, document: dict[str, Any]):
        super().__init__(Path(place), read_only=True)
        self.document = document
        self._arrays = root.arrays(document)
        self._rows = document["attributes"][MARK].get("rows")

    def with_read_only(self, read_only: bool = False) -> CommittedStore:
        if not read_only:
            raise StoreError(f"{self.root} is opened for reading only.")
        return self

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        return await asyncio.to_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    def get_sync(self, key: str, *, prototype: Any = None, byte_range: Any = None) -> Any:
        if key == root.NAME:
            return self._buffer(root.sealed(self.document), prototype, byte_range)
        name = key.partition("/")[0]
        if name not in self._arrays or key.endswith(root.NAME):
            return None
        rows = self._committed(name, root.chunk_place(self._arrays[name], key))
        if rows is not None and rows <= 0:
            return None
        try:
            content = (self.root / key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            content = None
        return self._buffer(self._checked(name, key, content, rows), prototype, byte_range)

    def _committed(self, name: str, index: tuple[int, ...]) -> int | None:
        """Committed rows within the chunk; ``None`` where that is no question."""
        meta = self._arrays[name]
        if self._rows is None or not root.by_row(meta):
            return None
        return int(self._rows[index[0]] - index[1] * root.chunk_shape(meta)[1])

    def _checked(self, name: str, key: str, content: bytes | None, rows: int | None) -> bytes:
        if content is None:
            raise DamagedError(
                f"{self.root} is truncated: the chunk {key} is missing. Run `tmepde repair {self.root}`."
            )
        if not chunks.intact(content):
            raise DamagedError(
                f"{self.root} is damaged: the chunk {key} does not match its checksum. Run `tmepde repair {self.root}`."
            )
        meta = self._arrays[name]
        if not chunks.fits(meta)(content):
            raise DamagedError(
                f"{self.root} is damaged: the chunk {key} is one of another array. Run `tmepde repair {self.root}`."
            )
        shape = root.chunk_shape(meta)
        if rows is None or rows >= shape[1]:
            return content
        values = chunks.decode(content, meta["data_type"], shape)
        values[:, rows:] = chunks.fill_of(values.dtype)
        return chunks.encode(values)

    @staticmethod
    def _buffer(content: bytes, prototype: Any, byte_range: Any) -> Any:
        from zarr.core.buffer import default_buffer_prototype

        made = (prototype or default_buffer_prototype()).buffer.from_bytes(content)
        if byte_range is None:
            return made
        from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

        match byte_range:
            case RangeByteRequest(start=start, end=end):
                return made[start:end]
            case OffsetByteRequest(offset=offset):
                return made[offset:]
            case SuffixByteRequest(suffix=suffix):
                return made[-suffix:]
        raise TypeError(f"unknown byte range {byte_range!r}")
