"""Connects to a port many times and says nothing, or no more than TLS wants; who is let go comes again.

Its standard output says how many it holds, each second.
"""

import argparse
import contextlib
import resource
import select
import socket
import ssl
import time

AGAIN_SECONDS = 0.002
"""Between those who come in place of others."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd, poll = dict[int, socket.socket](), select.poll()
    end, told, came = time.monotonic() + args.seconds, 0.0, 0
    while time.monotonic() < end:
        if len(crowd) < args.count:
            with contextlib.suppress(OSError):
                guest = connected(args.host, args.port, tls=args.tls)
                crowd[guest.fileno()] = guest
                poll.register(guest, select.POLLIN | select.POLLRDHUP)
                came += 1
        if came >= args.count:
            time.sleep(AGAIN_SECONDS)
        if time.monotonic() > told + 1:
            told = time.monotonic()
            for number, _ in poll.poll(0):
                # What the other end says, it says to nobody: if it has hung up, somebody comes anew.
                if ended(crowd[number]):
                    poll.unregister(number)
                    crowd.pop(number).close()
            print(f"{len(crowd)} are connected, {came} came", flush=True)


def connected(host: str, port: int, *, tls: bool) -> socket.socket:
    guest = socket.create_connection((host, port), 5)
    if not tls:
        return guest
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(guest)


def ended(guest: socket.socket) -> bool:
    guest.setblocking(False)
    try:
        return not guest.recv(4096)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


if __name__ == "__main__":
    main()
