"""A way to a server that can stop in the middle: datagrams pass, and of TCP so many octets of answers as are allowed."""
import contextlib
import selectors
import socket
import threading

from peers import LOOPBACK, free_port

ALL = 1 << 62    # more octets than any answer has


class Relay:
    """Passes what comes to `address` on to `target`. After `allow(octets)` connections begin that pass so many octets back and
    then hold still, which `stalled` tells, until one side or `cut` ends them."""

    def __init__(self, target):
        self.target, self.address = target, (LOOPBACK, free_port())
        self.stalled, self.octets = threading.Event(), ALL
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(self.address)
        self.tcp = socket.create_server(self.address)
        self.clients, self.ended = set(), False
        for work in (self.pass_datagrams, self.accept):
            threading.Thread(target=work, daemon=True).start()

    def allow(self, octets):
        self.octets = octets
        self.stalled.clear()

    def pass_datagrams(self):
        while not self.ended:
            with contextlib.suppress(OSError):
                question, client = self.udp.recvfrom(65535)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as beyond:
                    beyond.settimeout(1)
                    beyond.connect(self.target)
                    beyond.send(question)
                    self.udp.sendto(beyond.recv(65535), client)

    def accept(self):
        while not self.ended:
            with contextlib.suppress(OSError):
                threading.Thread(target=self.pass_stream, args=(self.tcp.accept()[0],), daemon=True).start()

    def pass_stream(self, client):
        left = self.octets
        self.clients.add(client)
        with client, contextlib.suppress(OSError), socket.create_connection(self.target) as server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ)
            ready.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    source = key.fileobj
                    octets = source.recv(65536 if source is client else min(65536, left))
                    if not octets:
                        return
                    (server if source is client else client).sendall(octets)
                    left -= len(octets) * (source is server)
                    if source is server and left == 0:
                        ready.unregister(server)   # it waits with the rest, as for a client that reads nothing
                        self.stalled.set()

    def cut(self):
        """Ends the connections under way."""
        for client in list(self.clients):
            self.clients.discard(client)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.ended = True
        self.cut()
        for end in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
