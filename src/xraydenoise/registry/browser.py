"""Open an address in a browser as soon as a server answers there: python -m xraydenoise.registry.browser ADDRESS."""

import contextlib
import os
import socket
import sys
import time
import webbrowser
from urllib.parse import urlsplit

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # variables; a Linux that can show a browser, or reach one, has one of them
READY = 300  # seconds that the server has to answer


def wanted() -> bool:
    """Whether a person sits at a terminal that has a browser beside it."""
    return sys.stdout.isatty() and (sys.platform != "linux" or any(os.environ.get(name) for name in SCREENS))


def show(address: str) -> None:
    """Wait for the server, then open `address`; nothing where it does not answer in time."""
    place, latest = urlsplit(address), time.monotonic() + READY
    while time.monotonic() < latest:
        with contextlib.suppress(OSError), socket.create_connection((str(place.hostname), place.port or 80), 1):
            webbrowser.open(address)
            return
        time.sleep(0.2)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is for the server
        show(sys.argv[1])
