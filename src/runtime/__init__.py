"""Faust made fit for production: boot order, consumer, recovery, web server, timers, logs. Nothing of the domain.

Pinned to faust-streaming 0.15.3 and mode-streaming 0.7.1; each departure from them says why, names the place upstream
and has a test of its number: F1 boot without a broker, F2 broker lost, F3 stop without a broker, F4 recovery, F5 slow
agents, F6 timers, F7 crash in a batch, F8 commits, F10 tables, F11 environment, F12 whole fetches. (F9, aiopg's
cancellations, is `storage.database`'s; the timers here survive them.)
"""
