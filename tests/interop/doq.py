"""DNS over QUIC (RFC 9250) by aioquic, a client that shares no code with kofn's."""
import asyncio
import contextlib
import ssl
import struct

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived, StreamReset


class Client(QuicConnectionProtocol):
    """One connection; each query has a stream."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.streams, self.ended = {}, asyncio.Event()

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived) and event.stream_id in self.streams:
            octets, whole = self.streams[event.stream_id]
            octets += event.data
            if event.end_stream and not whole.done():
                whole.set_result(bytes(octets))
        elif isinstance(event, StreamReset) and event.stream_id in self.streams:
            whole = self.streams[event.stream_id][1]
            if not whole.done():
                whole.set_result(None)
        elif isinstance(event, ConnectionTerminated):
            self.error = event.error_code
            self.ended.set()
            for _, whole in self.streams.values():
                if not whole.done():
                    whole.set_result(None)

    def open(self):
        """A stream, and what will be its whole reply: None if it is reset."""
        stream = self._quic.get_next_available_stream_id()
        self.streams[stream] = (bytearray(), asyncio.get_running_loop().create_future())
        return stream, self.streams[stream][1]

    def send(self, stream, octets, end=False):
        self._quic.send_stream_data(stream, octets, end)
        self.transmit()

    async def ask(self, message):
        """The reply to one message, or None."""
        stream, whole = self.open()
        self.send(stream, struct.pack("!H", len(message)) + message, True)
        reply = await asyncio.wait_for(whole, 20)
        return reply[2:] if reply else None


def configuration(**more):
    return QuicConfiguration(is_client=True, alpn_protocols=["doq"], verify_mode=ssl.CERT_NONE, server_name="localhost",
                             idle_timeout=600.0, **more)


def connected(port, tickets=None, **more):
    """An asynchronous context of one connection; what resumes it later is put into `tickets`."""
    keep = tickets.append if tickets is not None else None
    return connect("127.0.0.1", int(port), configuration=configuration(**more), create_protocol=Client,
                   session_ticket_handler=keep)


async def many(port, count, at_once=40):
    """So many idle connections, held open by what is returned."""
    held, places = contextlib.AsyncExitStack(), asyncio.Semaphore(at_once)

    async def one():
        async with places:
            return await held.enter_async_context(connected(port))
    clients = await asyncio.gather(*(one() for _ in range(count)))
    return held, clients
