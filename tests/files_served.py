"""What the tests of downloads and of data sets share: files put at a place or behind a server, their sums, and their contents.
"""
import hashlib
import io
import tarfile

import numpy as np


def serve(server, path, body):
    server.table[path] = body, len(body)
    return server.url + path


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def placed(folder, name, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def tar(**members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                archive.addfile(info)
    return file.getvalue()


def object_array(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array
