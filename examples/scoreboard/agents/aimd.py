#!/usr/bin/env python3
"""An external estimator for plenary-scoreboard: up by a twelfth each second, down to 85 % at loss or delay.

It speaks the protocol of EXTERNAL.md: a JSON object on each line, and a reply to all but "sent".
"""

import json
import sys


class Aimd:
    def __init__(self, streams):
        self.streams = streams
        self.rate = streams["start"]
        self.base = None  # The least one-way delay seen, on two clocks.
        self.held_until = 0
        self.last = 0

    def handle_streams(self, streams):
        self.streams = streams

    def handle_feedback(self, message):
        now, packets = message["now"], message["packets"]
        arrived = [packet for packet in packets if packet["arrived"] is not None]
        lost = 1 - len(arrived) / len(packets)
        delays = [packet["arrived"] - packet["sent"] for packet in arrived]
        self.base = min(delays + ([self.base] if self.base is not None else []), default=None)
        queue = max(delays) - self.base if delays else 0
        if now < self.held_until:
            return
        if lost > 0.1 or queue > 60_000:
            self.rate *= 0.85
            self.held_until = now + 2 * message.get("round_trip", 100_000)
        elif not self.streams["is_application_limited"]:
            self.rate *= 1.08 ** (min(now - self.last, 1_000_000) / 1e6)
        self.last = now

    def reply(self):
        self.rate = min(max(self.rate, self.streams["min"]), self.streams["max"])
        return {"target": int(self.rate), "pacing": int(1.2 * self.rate)}


def main():
    aimd = None
    for line in sys.stdin:
        message = json.loads(line)
        kind = message["type"]
        if kind == "hello":
            aimd = Aimd(message["streams"])
        elif kind == "sent":
            continue  # The one message without a reply.
        elif kind == "feedback":
            aimd.handle_feedback(message)
        elif kind == "streams":
            aimd.handle_streams(message["streams"])
        print(json.dumps(aimd.reply()), flush=True)


if __name__ == "__main__":
    main()
