"""The contract between log and topic (I1–I4), judged by the judge of `chaos` where no history of calls was kept."""

from chaos.evidence import read_log
from chaos.judge import Verdict, compare
from tests.support.topic import read_topic

__all__ = ["Verdict", "compare", "judge", "read_log"]


async def judge(owner_url: str, bootstrap: str, topic: str) -> Verdict:
    """Compare the log in PostgreSQL with the topic."""
    return compare(read_log(owner_url, topic), await read_topic(bootstrap, topic))
