"""The controller's ports and connections, and what may befall them."""

import asyncio
import socket
from collections.abc import Callable

MAX_UNSENT_BYTES = 1 << 20
"""A client that leaves this much unread is dropped."""


class Connection(asyncio.Protocol):
    """One client on one port. Subclasses implement `received`."""

    transport: asyncio.Transport

    def __init__(self, link: "Link") -> None:
        self.link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the link's connections."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.connections.add(self)
        if self.link.is_silent:
            transport.pause_reading()
        self.opened()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the link's connections."""
        self.link.connections.discard(self)
        self.closed()

    def data_received(self, data: bytes) -> None:
        """Hand over what came; a cut cable lets nothing through."""
        if not self.link.is_silent:
            self.received(data)

    def send(self, data: bytes) -> None:
        """Send unless the cable is cut."""
        if self.link.is_silent or self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.transport.abort()
        else:
            self.transport.write(data)

    def opened(self) -> None:
        """Called when a client has connected."""

    def received(self, data: bytes) -> None:
        """Called with whatever bytes have come."""
        raise NotImplementedError

    def closed(self) -> None:
        """Called when the connection is gone."""


class Link:
    """All ports of the controller on one address."""

    def __init__(self, host: str, ports: dict[int, Callable[["Link"], Connection]]) -> None:
        self.host = host
        self.connections: set[Connection] = set()
        self.is_silent = False
        self._ports = ports
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Listen on all ports; harmless if it does already.

        Raises:
            OSError: If one of them is taken; then none is kept.
        """
        if self._servers:
            return
        loop = asyncio.get_running_loop()
        for port, make in self._ports.items():
            try:
                server = await loop.create_server(
                    lambda make=make: make(self), self.host, port, reuse_address=True
                )
            except OSError as error:
                self.close()
                raise OSError(
                    error.errno, f"Cannot listen on {self.host}:{port}: {error.strerror}."
                ) from error
            self._servers.append(server)

    def close(self) -> None:
        """Stop listening and close all connections."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self.connections):
            connection.transport.abort()

    def reset(self, which: Callable[[Connection], bool] = lambda _: True) -> None:
        """Reset some connections, or all as when the controller's computer restarts; clients see an error, not an end."""
        for connection in filter(which, list(self.connections)):
            sock = connection.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.transport.abort()

    def cut(self) -> None:
        """Let nothing through in either direction."""
        self.is_silent = True
        for connection in self.connections:
            connection.transport.pause_reading()

    def mend(self) -> None:
        """Let everything through again; what clients sent meanwhile arrives now."""
        self.is_silent = False
        for connection in self.connections:
            connection.transport.resume_reading()
