"""Random bytes come from a stock, and no byte of it is given twice."""

import itertools

from gateway.randomness import RandomBuffer


def test_every_byte_is_given_once_and_in_large_pieces_all_the_same() -> None:
    drawn = itertools.count()
    asked = list[int]()

    def draw(count: int) -> bytes:
        asked.append(count)
        return b"".join(next(drawn).to_bytes(4) for _ in range(count // 4))

    random_buffer = RandomBuffer(draw)
    given = [random_buffer(16) for _ in range(1_000)] + [random_buffer(8_192), random_buffer(16)]

    assert all(len(piece) == 16 for piece in given[:1_000])
    assert len(given[1_000]) == 8_192
    words = [piece[at : at + 4] for piece in given for at in range(0, len(piece), 4)]
    assert len(set(words)) == len(words)
    assert asked == [4_096] * 4 + [8_192, 4_096]
