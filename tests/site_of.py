"""A running service with its desk, and people at it, for tests and pictures."""

import secrets

from people import Person
from sqlalchemy import update

from giantkiller.desk import invitations
from giantkiller.desk.config import change_settings
from giantkiller.desk.rules import DEFAULT, write_rulebook
from giantkiller.desk.tables import tasks
from giantkiller.store import utc_now


class Site:
    """A running service with its desk, and people at it."""

    def __init__(self, server):
        self.server = server
        self.url = server.url
        self.store = server.service.store

    def invite(self, role):
        with self.store.write() as connection:
            return invitations.invite(connection, role, None, now=utc_now())

    def person(self, role="moderator", name=None):
        person = Person(self.url)
        person.name = name or f"{role}-{secrets.token_hex(3)}"
        return person.join(self.invite(role), person.name)

    def settings(self, **changes):
        with self.store.write() as connection:
            change_settings(connection, changes, "test", now=utc_now())

    def submit(self, text="You stupid idiot", **more):
        response = self.server.post("/v1/desk/items", {"text": text, **more})
        assert response.status_code in (200, 201), response.text
        return response.json()

    def state(self, submitted):
        got = self.server.client.get(f"/v1/desk/items/{submitted['id']}", headers=self.server.bearer)
        return got.json()["state"]

    def messages(self):
        got = self.server.client.get("/v1/desk/messages", headers=self.server.bearer)
        return got.json()["messages"]

    def first_rules(self):
        """Give the default community its first rules again; old versions stay, since decisions name them."""
        with self.store.write() as connection:
            write_rulebook(connection, "default", DEFAULT, None, now=utc_now())

    def clear(self):
        """Close what waits, so that each test sees only its own."""
        with self.store.write() as connection:
            connection.execute(update(tasks).values(open=False, lease_by=None, lease_until=None))
