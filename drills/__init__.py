"""What an operator must have seen work before it is needed: a rolling upgrade, and a restore from a backup.

Each drill is one command on real processes of this machine: PostgreSQL, Apache Kafka, workers, and clients that write
and read all the while. It ends with a short report, and fails when anything is not as it must be.
"""
