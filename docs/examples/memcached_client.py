#!/usr/bin/env python3
"""A client of memcached for Shakedown: register, cas and counter workloads.

Shakedown runs one of these for each process, tells it operations on standard input and reads how they
ended from standard output, one JSON object a line (docs/clients.md). Only Python's library is needed.
"""

import json
import socket
import sys
import time

# What each error means for the operation: "none" (it certainly did not happen), "happened", or "maybe".
# In doubt it is "maybe": a wrong "none" makes a checker blame the database for our mistake.
ERRORS = {
    "no-connection": {"effect": "none", "about": "not connected, so nothing was sent"},
    "not-equal": {"effect": "none", "about": "the value read was another, so nothing was written"},
    "overtaken": {"effect": "none", "about": "memcached answered EXISTS or NOT_FOUND to a cas"},
    "not-read": {"effect": "none", "about": "it failed while reading, before anything was written"},
    "no-answer": {"effect": "maybe", "about": "sent, and not answered in time or in full"},
    "server-error": {"effect": "maybe", "about": "an answer that is none of the expected ones"},
}


class Failed(Exception):
    """An operation that ended with one of the errors above."""

    def __init__(self, name, detail=""):
        super().__init__(name)
        self.name, self.detail = name, detail


class Memcached:
    """One connection, over which everything is sent once."""

    def __init__(self, endpoint, timeout):
        host, _, port = endpoint.rpartition(":")
        self.address, self.timeout = (host.strip("[]"), int(port)), timeout
        self.socket = self.lines = None
        self.deadline = 0.0

    def begin(self):
        """A new operation begins: it has its own time, and a connection."""
        self.deadline = time.monotonic() + self.timeout
        if self.socket is None:
            try:
                self.socket = socket.create_connection(self.address, self.left())
            except OSError as error:
                raise Failed("no-connection", str(error)) from error
            self.lines = self.socket.makefile("rb")

    def left(self):
        return max(self.deadline - time.monotonic(), 0.001)

    def close(self):
        """An answer may still come that nobody waits for: never use the connection again."""
        if self.socket is not None:
            self.lines.close()
            self.socket.close()
            self.socket = self.lines = None

    def command(self, text, failed="no-answer"):
        """Sends a command and returns the first line of its answer."""
        try:
            self.socket.settimeout(self.left())
            self.socket.sendall(text.encode() + b"\r\n")
            return self.line()
        except OSError as error:
            raise Failed(failed, str(error)) from error

    def line(self):
        self.socket.settimeout(self.left())
        line = self.lines.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the answer was cut short")
        return line[:-2].decode()

    def get(self, key):
        """The value of a key and the number that cas takes; None for a key that is not there."""
        answer = self.command(f"gets {key}", failed="not-read")
        if answer == "END":
            return None, None
        try:
            word, _, _, _, unique = answer.split()
            value, end = self.line(), self.line()
        except (OSError, ValueError) as error:
            raise Failed("not-read", f"{answer!r}: {error}") from error
        if (word, end) != ("VALUE", "END"):
            raise Failed("not-read", answer)
        return int(value), unique

    def store(self, command, value):
        """Runs a command that stores a value."""
        answer = self.command(f"{command}\r\n{value}")
        if answer in ("EXISTS", "NOT_FOUND", "NOT_STORED"):
            raise Failed("overtaken", answer)
        if answer != "STORED":
            raise Failed("server-error", answer)


def read(database, key, _):
    return database.get(f"register:{key}")[0]


def write(database, key, value):
    database.store(f"set register:{key} 0 0 {len(str(value))}", value)


def cas(database, key, values):
    old, new = values
    value, unique = database.get(f"register:{key}")
    if value != old:
        raise Failed("not-equal", f"{value}")
    database.store(f"cas register:{key} 0 0 {len(str(new))} {unique}", new)


def read_counter(database, _key, _value):
    return database.get("counter")[0] or 0


def add(database, _key, amount):
    if database.get("counter")[0] is None:
        try:
            database.store("add counter 0 0 1", 0)
        except Failed:
            # Whatever became of this: it adds nothing.
            raise Failed("not-read", "the counter could not be made") from None
    answer = database.command(f"incr counter {amount}")
    if answer == "NOT_FOUND":
        raise Failed("overtaken", answer)
    if not answer.isdigit():
        raise Failed("server-error", answer)


FUNCTIONS = {
    "register": {"read": read, "write": write},
    "cas": {"read": read, "write": write, "cas": cas},
    "counter": {"read": read_counter, "add": add},
}


def main():
    hello = json.loads(sys.stdin.readline())
    functions = FUNCTIONS.get(hello["workload"]["kind"], {})
    # Greet first and connect later: a database that is down is an answer, not a reason to end.
    tell({"functions": list(functions), "errors": ERRORS})
    database = Memcached(hello["endpoint"], hello["timeout_ms"] / 1000)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            database.begin()
            value = functions[asked["f"]](database, asked["key"], asked["value"])
            tell({"id": asked["id"], "ok": value})
        except Failed as failed:
            if failed.name not in ("not-equal", "overtaken"):
                database.close()
            tell({"id": asked["id"], "error": failed.name, "detail": failed.detail})


def tell(message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
