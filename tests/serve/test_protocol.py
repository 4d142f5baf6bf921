"""What goes over a connection, to the byte."""

from http.client import HTTPConnection

from giantkiller.serve.protocol import _Transport


class Written:
    """A transport that remembers what was written at once."""

    def __init__(self):
        self.parts = []
        self.closed = False

    def write(self, data):
        self.parts.append(data)

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


def test_a_head_goes_with_its_body():
    under = Written()
    transport = _Transport(under)
    for part in (HEAD, b"{}", HEAD, b"", b"more"):
        transport.write(part)
    assert under.parts == [HEAD + b"{}", HEAD, b"more"]


def test_a_head_that_announces_no_length_goes_at_once():
    under = Written()
    transport = _Transport(under)
    for part in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"):
        transport.write(part)
        assert under.parts[-1] == part


def test_nothing_is_held_back_at_the_end():
    under = Written()
    transport = _Transport(under)
    transport.write(HEAD)
    transport.flush()
    transport.write(HEAD)
    transport.close()
    assert under.parts == [HEAD, HEAD]
    assert transport.is_closing()


def test_heads_without_bodies_over_one_connection(server):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        for method, body in (("HEAD", b""), ("GET", b'{"status":"ok"}'), ("HEAD", b"")):
            connection.request(method, "/healthz")
            response = connection.getresponse()
            assert response.status == 200
            assert response.headers["content-length"] == "15"
            assert response.read() == body
    finally:
        connection.close()
