"""The name of a person that a proxy gives in a header: believed from trusted addresses alone.

Anybody can send a header. A proxy that asks people who they are replaces it by what it knows, and
only it may be believed: by the address that the connection comes from, which no header changes.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

MAX_AUTHOR = 80
"""Characters of a person's name."""


class ProxyNames:
    """Reads the name of the person behind a request.

    `header` is the header's name, empty for none; `proxies` are the addresses or networks that may
    send it, separated by commas. Raises `ValueError` for one that is none.

    >>> names = ProxyNames("X-Forwarded-User", "10.0.0.0/8, 127.0.0.1")
    >>> names.name(" Ann ", "10.1.2.3")
    'Ann'
    >>> names.name("Ann", "192.0.2.7") is None
    True
    >>> names.name("Zoë".encode().decode("latin-1"), "127.0.0.1")
    'Zoë'
    >>> names.name("Ann", "::ffff:10.1.2.3")
    'Ann'
    """

    def __init__(self, header: str = "", proxies: str = "") -> None:
        self.header = header
        named = filter(None, map(str.strip, proxies.split(",")))
        self._proxies = [ip_network(name, strict=False) for name in named]

    def name(self, said: str | None, sender: str | None) -> str | None:
        """The name in the header of a request from this address; None where it names nobody."""
        if not self.header or sender is None:
            return None
        try:
            address: IPv4Address | IPv6Address = ip_address(sender)
        except ValueError:
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped:  # of a socket for both
            address = address.ipv4_mapped
        if not any(address in proxy for proxy in self._proxies):
            return None
        printable = "".join(filter(str.isprintable, _decoded(said or "")))
        return printable[:MAX_AUTHOR].strip() or None


def _decoded(said: str) -> str:
    """A header as its sender meant it: servers read its bytes as Latin-1, and proxies send UTF-8.

    What is no UTF-8 stays as it is.
    """
    try:
        return said.encode("latin-1").decode()
    except UnicodeError:
        return said
