"""What the service must not lose: one database, its schema, and how it is written.

SQLite in the state folder (write-ahead log, every commit synced to disk) or PostgreSQL by URL. Tables belong
to the rooms that use them; they register with `metadata`, and a migration in `migrations/versions` creates
them.
"""

from giantkiller.store.database import Store, StoreBusyError, open_store
from giantkiller.store.types import UTCDateTime, metadata, utc_now

__all__ = ["Store", "StoreBusyError", "UTCDateTime", "metadata", "open_store", "utc_now"]
