"""Files that are whole or not there, whenever the process ends."""
import os


def commit(pending: str, path: str) -> None:
    """Gives a file that is written its name, once it is on the disk; on return the name is there too."""
    with open(pending, "rb") as file:
        os.fsync(file.fileno())
    os.replace(pending, path)
    if os.name == "posix":  # elsewhere folders cannot be synced
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_whole(path: str, text: str) -> None:
    """Writes a text beside, then gives it its name; folders are made where they are not there."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".pending", "w", encoding="utf-8") as file:
        file.write(text)
    commit(file.name, path)
