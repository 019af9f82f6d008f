"""Two connections of aiortc, by relays only: `python aiortc_pair.py URL USER PASSWORD`; see README.md."""

import asyncio
import json
import signal
import sys

import aioice.ice
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)

LONG = (bytes(range(256)) * 400)[:100_000]
PATIENCE_SECONDS = 20

# Nothing leaves the machine; aioice has no other way to say so.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


def talk(channel, heard):
    """Says something as text, and something as bytes, and notes the lengths of what is said."""
    channel.on("message", lambda message: heard.append(len(message) if message in ("hello", LONG) else "altered"))

    def say():
        channel.send("hello")
        channel.send(LONG)

    if channel.readyState == "open":
        say()
    else:
        channel.on("open", say)


def candidates(connection):
    return [line for line in connection.localDescription.sdp.splitlines() if line.startswith("a=candidate:")]


async def connect(offerer, answerer):
    await offerer.setLocalDescription(await offerer.createOffer())
    await answerer.setRemoteDescription(offerer.localDescription)
    await answerer.setLocalDescription(await answerer.createAnswer())
    await offerer.setRemoteDescription(answerer.localDescription)


async def main(url, user, password):
    end = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, end.set)
    servers = [RTCIceServer(urls=url, username=user, credential=password)]
    configuration = RTCConfiguration(iceServers=servers, iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    pair = [RTCPeerConnection(configuration) for _ in range(2)]
    heard = [[], []]
    talk(pair[0].createDataChannel("chat"), heard[0])
    pair[1].on("datachannel", lambda channel: talk(channel, heard[1]))
    await connect(*pair)
    for _ in range(PATIENCE_SECONDS * 20):
        if all(len(messages) == 2 for messages in heard) or end.is_set():
            break
        await asyncio.sleep(0.05)
    print(json.dumps({"candidates": sum(map(candidates, pair), []), "heard": heard}), flush=True)
    await end.wait()
    for connection in pair:
        await connection.close()


asyncio.run(main(*sys.argv[1:]))
