"""Every fault there is, by name. A new one is a function in one of these modules, under `@fault`."""

from chaos.faults import archives, broker, network, postgres, restore, traffic, workers
from chaos.faults.registry import FAULTS, Fault, NotRun, fault

__all__ = [
    "FAULTS",
    "Fault",
    "NotRun",
    "archives",
    "broker",
    "fault",
    "network",
    "postgres",
    "restore",
    "traffic",
    "workers",
]
