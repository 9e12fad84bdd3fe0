"""Has a program of yours look at the videos of sets, and attaches what it finds to them.

    kcat -C -u -b 127.0.0.1:9092 -t training_events |
        TRAINING_TOKEN=… python form_analysis_client.py http://127.0.0.1:8000 ./look-at 2.1.0

Reads events of trainings, one a line. For every performed set that has a `video_id` it runs the program with that as
the argument, behind a `--` since it may begin with `-`. The program prints `{"scores": […], "remarks": […]}`; 2.1.0 is
its version. The token carries the role `form-analysis`. It prints the status of each answer with the set and the video.

The id of an analysis is made of set, video, program and version. So a copy of an event, which looks at the video once
more, adds nothing (409), nor does a request whose answer was lost and that is sent again (200). What another version
finds is another analysis. A set or a video that is gone meanwhile (404, 422) is passed over. Nothing is kept here, so
there is nothing to erase when a user is.
"""

import asyncio
import datetime as dt
import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import PurePath

import aiohttp

TRIES, PAUSE = 10, 2.0  # seconds, where the service names none


def videos(event: dict) -> Iterator[tuple[str, str]]:
    """The address of each set that has something to look at, and its video."""
    if event["event_type"] not in ("training_created", "training_updated"):
        return
    training = event["payload"]
    for exercise in training["exercises"]:
        for set_ in exercise["sets"]:
            if set_["done"] and "video_id" in set_:
                user = f"/api/v1/training/users/{training['user_id']}/trainings/{training['training_id']}"
                yield f"{user}/exercises/{exercise['id']}/sets/{set_['id']}", set_["video_id"]


async def look_at(program: str, video: str) -> dict:
    """What the program finds on the video."""
    process = await asyncio.create_subprocess_exec(program, "--", video, stdout=asyncio.subprocess.PIPE)
    found, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{program} failed with {process.returncode} on {video}")
    return json.loads(found)


async def attach(session: aiohttp.ClientSession, address: str, analysis: dict) -> int:
    """The status that the service answers for good: what it cannot do now is asked for again."""
    for _ in range(TRIES):
        try:
            async with session.post(f"{address}/form-analyses", json=analysis) as answer:
                if answer.status not in (429, 503):
                    return answer.status
                pause = float(answer.headers.get("Retry-After", PAUSE))
        except (aiohttp.ClientConnectionError, TimeoutError):
            pause = PAUSE
        await asyncio.sleep(pause)
    raise TimeoutError(f"{address} cannot be reached")


async def follow(url: str, program: str, version: str) -> None:
    """Until there are no more events."""
    name = PurePath(program).name
    headers = {"Authorization": f"Bearer {os.environ['TRAINING_TOKEN']}"}
    async with aiohttp.ClientSession(url, headers=headers, timeout=aiohttp.ClientTimeout(total=10)) as session:
        for line in sys.stdin:
            for address, video in videos(json.loads(line)):
                analysis = await look_at(program, video) | {
                    "id": str(uuid.uuid5(uuid.NAMESPACE_URL, " ".join((address, video, name, version)))),
                    "video_id": video,
                    "analyser": {"name": name, "version": version},
                    "analysed_at": dt.datetime.now(dt.UTC).isoformat(),
                }
                print(await attach(session, address, analysis), address, video, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(follow(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
