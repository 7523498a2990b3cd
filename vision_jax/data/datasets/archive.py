"""The files of a published archive, extracted or still zipped, whatever the case of their names."""

import pathlib
import zipfile

from vision_jax.core.errors import InputError

JUNK = ('__macosx/', '/._')


class Archive:
    """All files below a folder, those inside its zip files included.

    Args:
        folder: Where the person put the archive.
        missing: What to say after "not found in FOLDER": where the archive is published.
    """

    def __init__(self, folder: pathlib.Path, *, missing: str):
        self._folder, self._missing = folder, missing
        self._by_name: dict[str, list[tuple[str, pathlib.Path, str]]] = {}
        self._zips: dict[pathlib.Path, zipfile.ZipFile] = {}  # opening one reads its whole index
        for path in sorted(folder.rglob('*')):
            if path.suffix.lower() == '.zip':
                self._zips[path] = _open_zip(path)
                for member in self._zips[path].namelist():
                    self._add(f'{path.stem}/{member}', path, member)
            elif path.is_file():
                self._add(path.relative_to(folder).as_posix(), path, '')

    def _add(self, name: str, path: pathlib.Path, member: str) -> None:
        lower = '/' + name.lower()
        if not lower.endswith('/') and not any(junk in lower for junk in JUNK):
            self._by_name.setdefault(lower.rpartition('/')[2], []).append((lower, path, member))

    def _find(self, name: str) -> tuple[str, pathlib.Path, str] | None:
        """The file whose path ends with `name`; an extracted one goes before a zipped one."""
        lower = name.lower()
        found = self._by_name.get(lower.rpartition('/')[2], [])
        found = [entry for entry in found if entry[0].endswith('/' + lower)]
        return min(found, key=lambda entry: (bool(entry[2]), len(entry[0]))) if found else None

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def read(self, name: str) -> bytes:
        """The bytes of the file whose path ends with `name`.

        Raises:
            InputError: If there is none, saying where the archive is published.
        """
        path, member = self._locate(name)
        if not member:
            return path.read_bytes()
        try:
            return self._zips[path].read(member)
        except RuntimeError as error:  # an encrypted member
            raise InputError(f'{path}: {error}; extract it there yourself') from error
        except zipfile.BadZipFile as error:
            raise InputError(f'{path}: {error}; download it again') from error

    def size(self, name: str) -> int:
        """The bytes of that file, by its entry in the directory; raises as `read` does."""
        path, member = self._locate(name)
        return self._zips[path].getinfo(member).file_size if member else path.stat().st_size

    def _locate(self, name: str) -> tuple[pathlib.Path, str]:
        entry = self._find(name)
        if entry is None:
            raise InputError(f"'{name}' not found in {self._folder}; {self._missing}")
        return entry[1:]

    def close(self) -> None:
        """Closes the zip files."""
        for archive in self._zips.values():
            archive.close()


def _open_zip(path: pathlib.Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise InputError(f'{path} is not a whole zip file ({error}); download it again, or remove '
                         'it if it is extracted') from error
