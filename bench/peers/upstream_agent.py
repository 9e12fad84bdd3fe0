"""An agent of upstream Faust, as its documentation teaches it: one record at a time. Nothing of src/runtime is in it.

Run by `faust -A bench.peers.upstream_agent -L uvloop worker` with what it needs in BENCH_PEER; see bench/fold.py. An
`empty` one only decodes: it shows what Faust itself costs. It prints how many records it has seen, every `EVERY`.
"""

import json
import os
from typing import Any

import faust

from agents.volume import VolumeFold, decode
from storage.database import Database

EVERY = 500  # records

peer = json.loads(os.environ["BENCH_PEER"])
app = faust.App(
    peer["group"],
    broker=f"kafka://{peer['bootstrap']}",
    key_serializer="raw",
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    datadir=peer["folder"],
    web_bind="127.0.0.1",
    web_port=peer["port"],
)
fold = VolumeFold(Database(peer["database_url"], pool_size=2), peer["topic"])


@app.agent(app.topic(peer["topic"]))
async def volume(stream: Any) -> None:
    """Decodes each record, and where it is to write stores its rows."""
    seen = 0
    async for event in stream.events():
        if peer["empty"]:
            decode(event.value)
        else:
            await fold.fold_records([event.message])
        seen += 1
        if seen % EVERY == 0:
            os.write(1, f"seen {seen}\n".encode())  # past Faust, which redirects standard output
