"""A TCP proxy that makes a local server as far away as a remote one, and counts the answers that pass.

    python benchmarks/delay_proxy.py HOST PORT SECONDS

Prints its own port, then for each line that it reads the number of answers since the last one. ``SECONDS`` is the time
of a round trip: half of it is added each way.
"""

from __future__ import annotations

import asyncio
import sys

answers = 0


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float, *, is_answer: bool) -> None:
    """Pass bytes on, each chunk ``seconds`` after it came; chunks keep their order and don't wait for each other."""
    global answers  # noqa: PLW0603 - one proxy, one counter
    loop = asyncio.get_running_loop()
    while chunk := await reader.read(1 << 18):
        answers += is_answer and chunk.startswith(b"HTTP/1.1 ") and not chunk.startswith(b"HTTP/1.1 100")
        loop.call_later(seconds, writer.write, chunk)
    loop.call_later(seconds, writer.close)


async def main(host: str, port: int, seconds: float) -> None:
    alive = set()  # the event loop itself holds its tasks by weak references only

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        alive.add(asyncio.current_task())
        await asyncio.sleep(seconds)  # TCP's own handshake
        up_reader, up_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(
            carry(reader, up_writer, seconds / 2, is_answer=False),
            carry(up_reader, writer, seconds / 2, is_answer=True),
            return_exceptions=True,
        )
        alive.discard(asyncio.current_task())

    global answers  # noqa: PLW0603 - see above
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(answers, flush=True)
        answers = 0


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
