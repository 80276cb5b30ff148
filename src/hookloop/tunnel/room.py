"""What many requests together may take of a process's memory: a limit that is shared."""

__all__ = ["Room"]


class Room:
    """Bytes that may still be taken; whoever takes some gives them back."""

    def __init__(self, most: int) -> None:
        self.left = most

    def take(self, length: int) -> bool:
        """Say whether there was room for *length* bytes more."""
        if length > self.left:
            return False
        self.left -= length
        return True

    def give_back(self, length: int) -> None:
        self.left += length
