"""aiortc as a client of examples/echo: `python aiortc_client.py URL HOW SETUP`; see README.md."""

import asyncio
import fractions
import json
import math
import signal
import sys
import urllib.request

import aioice.ice
from aiortc import (
    AudioStreamTrack,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from av import AudioFrame, VideoFrame

WIDTH, HEIGHT = 320, 240
STRIPES = 16
TONE_HZ = 440
WANTED = 40
LONG = (bytes(range(256)) * 400)[:100_000]
PATIENCE_SECONDS = 20

# Nothing leaves the machine; aioice has no other way to say so.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Numbers(VideoStreamTrack):
    """Frames that have their own numbers on them: a white stripe is a one."""

    sent = 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        self.sent += 1
        bits = [self.sent >> bit & 1 for bit in range(STRIPES)]
        row = b"".join(bytes([235 if bit else 16]) * (WIDTH // STRIPES) for bit in bits)
        luma, *chroma = frame.planes
        luma.update(row.ljust(luma.line_size, b"\0") * luma.height)
        for plane in chroma:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        return frame


def number_of(frame):
    """The number on a frame, or None where a stripe is neither white nor black."""
    luma = frame.reformat(format="yuv420p").planes[0]
    width = frame.width // STRIPES
    middle = luma.line_size * (frame.height // 2)
    row = bytes(luma)[middle : middle + frame.width]
    stripes = [row[stripe * width + width // 2] for stripe in range(STRIPES)]
    if any(60 < light < 190 for light in stripes):
        return None
    return sum(1 << bit for bit, light in enumerate(stripes) if light >= 190)


class Tone(AudioStreamTrack):
    """A tone, from which the frames that come back can be told from any other sound."""

    sent = 0

    async def recv(self):
        silence = await super().recv()
        rate, samples = silence.sample_rate, silence.samples
        turn = 2 * math.pi * TONE_HZ / rate
        wave = (round(12_000 * math.sin(turn * (silence.pts + at))) for at in range(samples))
        frame = AudioFrame(format="s16", layout="mono", samples=samples)
        frame.planes[0].update(b"".join(sample.to_bytes(2, "little", signed=True) for sample in wave))
        frame.sample_rate, frame.pts = rate, silence.pts
        frame.time_base = fractions.Fraction(1, rate)
        self.sent += 1
        return frame


def pitch_of(frame):
    """In Hz, from how often it crosses zero upwards; None where it is not loud."""
    channels = len(frame.layout.channels)
    samples = memoryview(bytes(frame.planes[0])).cast("h")[: frame.samples * channels : channels]
    if max(samples) < 3_000:
        return None
    ups = [at for at in range(1, len(samples)) if samples[at - 1] < 0 <= samples[at]]
    if len(ups) < 2:
        return None
    return frame.sample_rate * (len(ups) - 1) / (ups[-1] - ups[0])


class Heard:
    """What came back."""

    def __init__(self):
        self.numbers, self.pitches, self.messages = [], [], []
        self.unreadable = 0

    def talk(self, channel):
        """Says something as text, and something as bytes."""
        channel.on("message", self.messages.append)

        @channel.on("open")
        def say():
            channel.send("hello")
            channel.send(LONG)

    async def watch(self, track):
        while True:
            frame = await track.recv()
            if track.kind == "video":
                number = number_of(frame)
                self.unreadable += number is None
                self.numbers += [] if number is None else [number]
            else:
                pitch = pitch_of(frame)
                self.pitches += [] if pitch is None else [pitch]

    def enough(self):
        return min(len(self.numbers), len(self.pitches)) >= WANTED and len(self.messages) >= 2

    def told(self):
        rising = all(one < next for one, next in zip(self.numbers, self.numbers[1:]))
        usual = sorted(self.pitches)[len(self.pitches) // 2] if self.pitches else None
        return {
            "video": {"frames": len(self.numbers), "unreadable": self.unreadable, "rising": rising},
            "audio": {"frames": len(self.pitches), "pitch": usual},
            "data": ["altered" if message not in ("hello", LONG) else len(message) for message in self.messages],
        }


async def ask(url, body=""):
    """A POST: what is answered, and where it is from now on."""
    request = urllib.request.Request(url, data=body.encode(), method="POST")
    with await asyncio.to_thread(urllib.request.urlopen, request, timeout=10) as response:
        return response.read().decode(), response.headers["Location"]


async def call(connection, heard, url, how, setup):
    """Descriptions go to and fro: the call's path, the offer, and the answer."""
    if how == "offer":
        heard.talk(connection.createDataChannel("chat"))
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        answer, path = await ask(f"{url}offer", offer)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return path, offer, answer
    offer, path = await ask(f"{url}call")
    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    heard.talk(connection.createDataChannel("chat"))
    answer = (await connection.createAnswer()).sdp
    # A role may be chosen here, and nowhere else.
    answer = answer.replace("a=setup:active", f"a=setup:{setup}")
    await connection.setLocalDescription(RTCSessionDescription(answer, "answer"))
    answer = connection.localDescription.sdp
    await ask(f"{url[:-1]}{path}/answer", answer)
    return path, offer, answer


async def main(url, how, setup):
    end = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, end.set)
    connection, heard = RTCPeerConnection(), Heard()
    tasks = []
    connection.on("track", lambda track: tasks.append(asyncio.ensure_future(heard.watch(track))))
    connection.addTrack(Tone())
    connection.addTrack(Numbers())
    path, offer, answer = await call(connection, heard, url, how, setup)
    for _ in range(PATIENCE_SECONDS * 20):
        if heard.enough() or end.is_set():
            break
        await asyncio.sleep(0.05)
    told = {"state": connection.connectionState, "call": path, "offer": offer, "answer": answer, **heard.told()}
    print(json.dumps(told), flush=True)
    await end.wait()
    for task in tasks:
        task.cancel()
    await connection.close()


asyncio.run(main(*sys.argv[1:]))
