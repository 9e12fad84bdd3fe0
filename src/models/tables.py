"""SQLAlchemy's picture of the tables of record, by which a test holds the migrations to what the code expects."""

import sqlalchemy as sa

metadata = sa.MetaData()
