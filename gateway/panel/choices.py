"""What a page shows instead where nothing can be chosen yet."""

from gateway.errors import NotFound


class NoAccount(NotFound):
    """An operator asks for a page of an account, and there is none yet."""

    def __init__(self) -> None:
        super().__init__("There is no account yet: make one with `gateway accounts create`")


class NoInstance(NotFound):
    """The account has no instance yet, and the page shows one."""

    def __init__(self) -> None:
        super().__init__("There is no number yet")
