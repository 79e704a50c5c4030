"""A TCP proxy that makes a local server as far away as a remote one, and counts the answers that pass.

    python benchmarks/delay_proxy.py HOST PORT SECONDS

Prints its own port, then for each line that it reads the number of answers since the last one. ``SECONDS`` is the time
of a round trip: half of it is added each way.
"""

from __future__ import annotations

import asyncio
import sys


class End(asyncio.Protocol):
    """One end of a connection: what comes is passed to the other end ``seconds`` later, in its order."""

    answers = 0

    def __init__(self, seconds: float, *, is_server: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._is_server = is_server
        self.transport: asyncio.Transport
        self.other: End

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        End.answers += self._is_server and data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100")
        self._loop.call_later(self._seconds, self.other.transport.write, data)

    def connection_lost(self, _: Exception | None) -> None:
        self._loop.call_later(self._seconds, self.other.transport.close)


class Client(End):
    """The end that a client sees; the server is reached after the round trip that TCP's own handshake takes."""

    def __init__(self, seconds: float, host: str, port: int) -> None:
        super().__init__(seconds)
        self._place = host, port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._task = self._loop.create_task(self._reach())

    async def _reach(self) -> None:
        await asyncio.sleep(2 * self._seconds)
        _, self.other = await self._loop.create_connection(lambda: End(self._seconds, is_server=True), *self._place)
        self.other.other = self
        self.transport.resume_reading()


async def main(host: str, port: int, seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Client(seconds / 2, host, port), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(End.answers, flush=True)
        End.answers = 0


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
