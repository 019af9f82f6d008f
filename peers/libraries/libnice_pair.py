"""Two agents of libnice, by relays only: `python libnice_pair.py URL USER PASSWORD`; see README.md."""

import json
import re
import signal
import sys

import gi

gi.require_version("Nice", "0.1")
from gi.repository import GLib, Nice  # noqa: E402

SAID = b"hello" + (bytes(range(256)) * 400)[:100_000]
PATIENCE_SECONDS = 20
READ_BYTES = 65_536


class Agent:
    """One stream of one component, with its streams of bytes."""

    def __init__(self, server, is_controlling):
        host, port, transport, user, password = server
        # What is reliable is libnice's own TCP over the pair of candidates.
        self.agent = Nice.Agent.new_reliable(GLib.MainContext.default(), Nice.Compatibility.RFC5245)
        self.agent.props.controlling_mode = is_controlling
        self.agent.props.force_relay = True
        self.agent.props.ice_tcp = False
        self.agent.props.upnp = False
        loopback = Nice.Address.new()
        loopback.set_from_string("127.0.0.1")
        self.agent.add_local_address(loopback)
        self.stream = self.agent.add_stream(1)
        self.agent.set_stream_name(self.stream, "application")
        kind = {"udp": Nice.RelayType.UDP, "tcp": Nice.RelayType.TCP}[transport]
        self.agent.set_relay_info(self.stream, 1, host, int(port), user, password, kind)
        self.io = self.agent.get_io_stream(self.stream, 1)
        self.heard = b""

    def gather(self, gathered):
        self.agent.connect("candidate-gathering-done", lambda *_: gathered())
        self.agent.gather_candidates(self.stream)
        # It takes in nothing, not even answers of the server, unless it is read from.
        self.read()

    def read(self):
        def have(source, result):
            try:
                self.heard += source.read_bytes_finish(result).get_data()
            except GLib.Error:
                return  # it is closed
            self.read()

        self.io.get_input_stream().read_bytes_async(READ_BYTES, GLib.PRIORITY_DEFAULT, None, have)

    def write(self, rest):
        # Of `GLib.Bytes`, as of other bytes the binding frees its copy before they are written.
        def done(sink, result):
            behind = rest[sink.write_bytes_finish(result) :]
            if behind:
                self.write(behind)

        self.io.get_output_stream().write_bytes_async(GLib.Bytes.new(rest), GLib.PRIORITY_DEFAULT, None, done)

    def candidates(self):
        lines = self.agent.generate_local_sdp().splitlines()
        return [line for line in lines if line.startswith("a=candidate:")]


def told(heard):
    return [5, len(heard) - 5] if heard == SAID else ["altered", len(heard)]


def main(url, user, password):
    loop = GLib.MainLoop()
    server = (*re.fullmatch(r"turn:(.*):(\d+)\?transport=(\w+)", url).groups(), user, password)
    one, two = pair = [Agent(server, is_controlling) for is_controlling in (True, False)]
    gathering, opening, closing = set(pair), set(pair), set(pair)

    def gathered(agent):
        gathering.discard(agent)
        if not gathering:
            one.agent.parse_remote_sdp(two.agent.generate_local_sdp())
            two.agent.parse_remote_sdp(one.agent.generate_local_sdp())

    def opened(agent):
        # Its TCP puts data that overtakes the beginning seven bytes too far: nothing is said before both have that.
        was_open = not opening
        opening.discard(agent)
        if not opening and not was_open:
            for agent in pair:
                agent.write(SAID)

    def look(ticks=iter(range(PATIENCE_SECONDS * 100))):
        if any(len(agent.heard) < len(SAID) for agent in pair) and next(ticks, None) is not None:
            return GLib.SOURCE_CONTINUE
        candidates = one.candidates() + two.candidates()
        print(json.dumps({"candidates": candidates, "heard": [told(agent.heard) for agent in pair]}), flush=True)
        return GLib.SOURCE_REMOVE

    def closed(agent):
        closing.discard(agent)
        if not closing:
            loop.quit()

    def close():
        for agent in pair:
            agent.agent.close_async(lambda *_, agent=agent: closed(agent))
        return GLib.SOURCE_REMOVE

    for signum in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signum, close)
    for agent in pair:
        agent.agent.connect("reliable-transport-writable", lambda *_, agent=agent: opened(agent))
        agent.gather(lambda agent=agent: gathered(agent))
    GLib.timeout_add(10, look)
    loop.run()


main(*sys.argv[1:])
