"""An example of a producer: publishes one job and reads its results until its final receipt.

    pip install -r requirements.txt
    python3 shop.py nats://127.0.0.1:4222 acme order-1042 +447700900123 "Your parcel is on its way."
"""

import asyncio
import json
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig

PRODUCER = "shop"


class Job:
    """What is known of one. A receipt may come before the outcome."""

    def __init__(self):
        self.outcome = None
        self.final = set()  # numbers of the parts with a final receipt

    def add(self, result):
        """Take a result in and tell whether it was the last."""
        if result["kind"] != "receipt":
            self.outcome = result
        elif result.get("final"):
            self.final.add(result["part"])
        if self.outcome is None:
            return False
        return self.outcome["kind"] != "submitted" or len(self.final) >= len(self.outcome["parts"])


async def publish(js, route, job):
    """Return once the job is stored. What was not answered is sent again under the same id, so that it is sent once."""
    subject = f"sms.jobs.{route}.normal.{PRODUCER}"
    for tries in range(1, 6):
        try:
            ack = await js.publish(subject, json.dumps(job).encode(), timeout=5, headers={"Nats-Msg-Id": job["id"]})
        except asyncio.TimeoutError:  # nats.errors.TimeoutError is one; nats-py raises it bare too
            if tries == 5:
                raise
            continue
        print("stored", job["id"], bool(ack.duplicate), flush=True)
        return


async def results(js, job_id):
    """Read through a durable consumer, ack each result after it is dealt with, drop repeats by id."""
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT)
    sub = await js.pull_subscribe(f"sms.results.{PRODUCER}.>", durable=f"{PRODUCER}-example", stream="SMS_RESULTS", config=config)
    seen = set()
    job = Job()
    while True:
        try:
            messages = await sub.fetch(100, timeout=5)
        except asyncio.TimeoutError:
            continue
        for message in messages:
            result = json.loads(message.data)
            if result["id"] not in seen:
                seen.add(result["id"])
                print(result["kind"], result.get("job_id"), result.get("state") or result.get("code") or "", flush=True)
            await message.ack()
            if result.get("job_id") == job_id and job.add(result):
                return


async def main(url, route, job_id, to, text):
    nc = await nats.connect(url, max_reconnect_attempts=-1, name="shortwire example")
    try:
        js = nc.jetstream()
        await publish(js, route, {"id": job_id, "to": to, "text": text})
        await results(js, job_id)
    finally:
        await nc.drain()


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit("usage: shop.py URL ROUTE ID NUMBER TEXT")
    asyncio.run(main(*sys.argv[1:]))
