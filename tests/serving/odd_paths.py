"""Ask the service as BentoML runs it, in this process, and look at its metrics.

`PROMETHEUS_MULTIPROC_DIR=… python -m tests.serving.odd_paths COUNT` prints a JSON object.

It stands alone because Prometheus' client decides when it is imported whether it counts in files.
"""

import asyncio
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from serving.api.job_store import new_id
from serving.api.service import MoodlineService

SECRET = "therapy_john_doe"
KINDS = (
    "/{secret}{number}", "/v1/{secret}{number}", "/v1/jobs/{id}", "/v1/recordings/{secret}{number}",
    "/v1/jobs/{id}/{number}", "/static_content/{number}", "/docs/{number}", "/metrics{number}",
    "/healthz/{number}", "/%2e%2e/{number}", "/schema.json/{number}", "/v1/analyze/{number}",
)  # fmt: skip


async def main(count: int) -> dict[str, Any]:
    """Ask for so many paths, each once, and for some things more than once."""
    app: Any = MoodlineService.to_asgi(is_main=True)  # type: ignore[attr-defined]
    MoodlineService.inner()  # type: ignore[attr-defined]  # what BentoML does in a worker
    statuses: Counter[int] = Counter()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for number in range(count):
            kind, id = KINDS[number % len(KINDS)], new_id()
            path = kind.format(secret=SECRET, number=number, id=id)
            method = "DELETE" if number % 5 == 0 else "GET"
            if number % 1_000 == 1:
                path += "x" * 60_000
            statuses[await status_of(app, method, path)] += 1
        odd = await client.get(f"/{SECRET}")
        shown = [await client.request(method, "/") for method in ("GET", "HEAD")]
        last = (await client.get("/metrics")).text
    config = uvicorn.Config(app)
    config.load()
    connection = config.http_protocol_class
    series = [line for line in last.splitlines() if line and not line.startswith("#")]
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    return {
        "statuses": statuses,
        "series": len(series),
        "bytes": len(last),
        "file bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "told": SECRET in last or re.search("[0-9a-f]{32}", last) is not None,
        "counted": sum(float(one.split()[-1]) for one in series if 'path="other",status' in one),
        "odd": [odd.status_code, odd.headers["content-type"], sorted(odd.json())],
        "connection": connection.__name__,
        "odd has an id": "x-request-id" in odd.headers,
        "lengths": [one.headers["content-length"] for one in shown],
        "policies": [one.headers["content-security-policy"] for one in shown],
    }


async def status_of(app: Any, method: str, path: str) -> int:
    """One request, without a client around it."""
    found: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    await app(
        {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "headers": [(b"host", b"127.0.0.1")], "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3000),
        },
        receive,
        send,
    )  # fmt: skip
    return found[0]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(int(sys.argv[1])))))
