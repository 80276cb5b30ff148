"""A disk whose power fails: SQLite's files as they would be found, at any moment one likes."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import apsw

SECTOR_BYTES = 512


@dataclass
class Platter:
    """One file: what was flushed, and what was written since."""

    flushed: bytearray = field(default_factory=bytearray)
    written: list[tuple[int, bytes | None]] = field(default_factory=list)
    """(offset, bytes), or (size, None) for a truncation."""

    def flush(self) -> None:
        for offset, data in self.written:
            apply(self.flushed, offset, data)
        self.written.clear()

    def after_a_cut(self, dice: random.Random | None) -> bytes:
        """Return what was flushed; with *dice* also some sectors of the rest, in any mixture."""
        image = bytearray(self.flushed)
        for offset, data in self.written if dice else ():
            if data is None:
                if dice.random() < 0.5:
                    apply(image, offset, None)
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if dice.random() < 0.5:
                    apply(image, offset + start, data[start : start + SECTOR_BYTES])
        return bytes(image)


def apply(image: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del image[offset:]
        return
    image.extend(bytes(max(0, offset - len(image))))
    image[offset : offset + len(data)] = data


class Disk(apsw.VFS):
    """The default file system of SQLite while it is in use; the bytes go to a real one too."""

    def __init__(self) -> None:
        self.platters: dict[str, Platter] = {}
        self.steps = 0
        self.on_step = lambda: None
        """Called before each write, truncation and flush: a place for a cut."""
        self.real = apsw.vfs_names()[0]  # the default one, until the next line
        super().__init__("power-cut", self.real, makedefault=True)

    def step(self) -> None:
        self.steps += 1
        self.on_step()

    def xOpen(self, name, flags):  # noqa: N802  # SQLite's name for it
        return File(self, name, flags)

    def xDelete(self, filename, syncdir):  # noqa: N802  # the same
        self.platters.pop(filename, None)
        super().xDelete(filename, syncdir)

    def cut(self, dice: random.Random | None) -> dict[str, bytes]:
        """Return each file by its name, as it would be found if the power failed now."""
        return {Path(n).name: p.after_a_cut(dice) for n, p in self.platters.items()}


class File(apsw.VFSFile):
    """A file that remembers what was flushed."""

    def __init__(self, disk: Disk, name, flags) -> None:
        super().__init__(disk.real, name, flags)
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._platter = disk.platters.setdefault(path, Platter()) if path else Platter()

    def xWrite(self, data, offset):  # noqa: N802  # the same
        self._disk.step()
        self._platter.written.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size):  # noqa: N802  # the same
        self._disk.step()
        self._platter.written.append((size, None))
        super().xTruncate(size)

    def xSync(self, flags):  # noqa: N802  # the same
        self._disk.step()
        self._platter.flush()
        super().xSync(flags)
