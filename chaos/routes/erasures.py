"""What becomes of a user who leaves: all of theirs is erased, and what their app still sends is refused."""

from chaos.client import Client, Request
from chaos.routes import trainings, workouts

PATH = "/api/v1/training/users/{}"
_LATE = 3  # writes of an app that has not heard of it yet


async def erase(client: Client) -> None:
    """Everything of the client's user goes; the client goes on for another user."""
    user = client.user
    await client.ask(Request("erase", "DELETE", PATH.format(user.id), id=user.id, type="user", safe=True))
    for _ in range(_LATE):
        await trainings.create(client)
    await workouts.create(client)
    client.user = client.next_user()
