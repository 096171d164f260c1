"""Stands in for nats-py where that is not installed: as much of it as the example uses, over NATS' own protocol."""

import asyncio
import itertools
import json
import sys
import types
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit


@dataclass
class ConsumerConfig:
    ack_policy: str
    durable_name: str = ""
    filter_subject: str = ""


class Message:
    def __init__(self, client, reply, head, data):
        self.client, self.reply, self.data = client, reply, data
        status = head.split(b"\r\n", 1)[0].split()[1:2]
        self.status = int(status[0]) if status else 0

    async def ack(self):
        self.client.send(self.reply, b"+ACK")


class Client:
    async def open(self, url):
        at = urlsplit(url)
        self.reader, self.writer = await asyncio.open_connection(at.hostname, at.port)
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python", "version": "0"}
        self.writer.write(f"CONNECT {json.dumps(options)}\r\n".encode())
        self.inboxes, self.number = {}, itertools.count(1)
        self.reading = asyncio.create_task(self.read())

    async def read(self):
        while line := await self.reader.readline():
            verb, *rest = line.split()
            if verb == b"PING":
                self.writer.write(b"PONG\r\n")
            elif verb == b"-ERR":
                raise RuntimeError(line)
            elif verb in (b"MSG", b"HMSG"):
                body = await self.reader.readexactly(int(rest[-1]) + 2)
                size = int(rest[-2]) if verb == b"HMSG" else 0
                reply = rest[2].decode() if len(rest) == (5 if size else 4) else ""
                # A consumer's message keeps its own subject: the subscription tells whose it is.
                if inbox := self.inboxes.get(rest[1].decode()):
                    inbox.put_nowait(Message(self, reply, body[:size], body[size:-2]))

    def send(self, subject, data, reply="", headers=None):
        head = b""
        if headers:
            head = ("NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
        verb, sizes = ("HPUB", f"{len(head)} {len(head + data)}") if head else ("PUB", f"{len(data)}")
        self.writer.write(f"{verb} {subject} {reply} {sizes}\r\n".encode() + head + data + b"\r\n")

    async def request(self, subject, data, timeout, headers=None):
        sid = str(next(self.number))
        answers = self.inboxes[sid] = asyncio.Queue()
        self.writer.write(f"SUB _INBOX.example.{sid} {sid}\r\n".encode())
        self.send(subject, data, f"_INBOX.example.{sid}", headers)
        try:
            return await asyncio.wait_for(answers.get(), timeout)
        finally:
            self.writer.write(f"UNSUB {sid}\r\n".encode())
            del self.inboxes[sid]

    async def call(self, subject, data, timeout, headers=None):
        answer = await self.request(subject, data, timeout, headers)
        if answer.status:
            raise RuntimeError(f"{subject}: {answer.status}")
        said = json.loads(answer.data)
        if "error" in said:
            raise RuntimeError(f"{subject}: {said['error']}")
        return said

    def jetstream(self):
        return JetStream(self)

    async def drain(self):
        await self.writer.drain()
        self.reading.cancel()
        self.writer.close()


class JetStream:
    def __init__(self, client):
        self.client = client

    async def publish(self, subject, payload, timeout, headers):
        return types.SimpleNamespace(**{"duplicate": None, **await self.client.call(subject, payload, timeout, headers)})

    async def pull_subscribe(self, subject, durable, stream, config):
        config.durable_name, config.filter_subject = durable, subject
        create = {"stream_name": stream, "config": asdict(config)}
        await self.client.call(f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{durable}", json.dumps(create).encode(), 5)
        return Subscription(self.client, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}")


class Subscription:
    def __init__(self, client, next_subject):
        self.client, self.next_subject, self.silent = client, next_subject, True

    async def fetch(self, batch, timeout):
        if self.silent:  # the first time as when nothing has come
            self.silent = False
            raise asyncio.TimeoutError
        ask = {"batch": 1, "expires": int(timeout * 1e9)}
        message = await self.client.request(self.next_subject, json.dumps(ask).encode(), timeout + 1)
        if message.status:
            raise asyncio.TimeoutError
        return [message]


async def connect(url, max_reconnect_attempts, name):
    client = Client()
    await client.open(url)
    return client


sys.modules["nats.js"] = types.ModuleType("nats.js")
sys.modules["nats.js.api"] = types.SimpleNamespace(ConsumerConfig=ConsumerConfig, AckPolicy=types.SimpleNamespace(EXPLICIT="explicit"))
