"""Editors in groups, each around one user: all open his form, then all send it at once, again and again."""

from __future__ import annotations

import os
import random
import secrets
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from time import monotonic, sleep

from flask import Flask

from chaos.editors import Edit, Editor
from tests.serving import Server, serve
from webapp.access.actor import Actor
from webapp.access.permissions import Role
from webapp.config import Settings
from webapp.users.services import create_user

USERS, EDITORS_OF_EACH = 4, 5
WORKERS = 3
ROUNDS_TO_A_KILL = 100  # of one group
LONGEST_DELAY_SECONDS = 0.1  # of a kill, from the moment at which all send
PASSWORD = "orchard lantern velvet"


@dataclass
class Run:
    """What was done to the database, and how long it took."""

    edits: list[Edit] = field(default_factory=list)
    retries: int = 0
    kills: int = 0
    seconds: float = 0.0


def run(app: Flask, edits: int) -> Run:
    """At least so many edits in the database of ``app``, in which there must be no users yet."""
    settings: Settings = app.extensions["settings"]
    user_ids, editors = _make_people(app)
    environment = {
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "WEB_WORKERS": str(WORKERS),
    }
    done = Run()
    rounds = ceil(edits / (USERS * EDITORS_OF_EACH))
    with serve(environment) as server, _signed_in(server, editors) as crowd:
        groups = [crowd[number::USERS] for number in range(USERS)]
        started = monotonic()
        with ThreadPoolExecutor(USERS) as threads:
            jobs = [
                threads.submit(_edit_in_rounds, server, user_id, group, rounds, done)
                for user_id, group in zip(user_ids, groups, strict=True)
            ]
            for job in jobs:
                job.result()
        done.seconds = monotonic() - started
        done.retries = sum(editor.retries for editor in crowd)
    return done


def _make_people(app: Flask) -> tuple[list[int], dict[int, str]]:
    """The ids of the users who are edited; id → address of their editors.

    Half of them are administrators, whose form has the role in it, so that it locks more.
    """
    actor = Actor.command_line()
    with app.app_context():
        users = [
            create_user(email=f"user{number}@example.org", full_name=f"User {number}", actor=actor).id
            for number in range(USERS)
        ]
        people = [
            create_user(
                email=f"editor{number}@example.org",
                full_name=f"Editor {number}",
                role=(Role.SUPPORT, Role.ADMINISTRATOR)[number // USERS % 2],
                password=PASSWORD,
                must_change_password=False,
                actor=actor,
            )
            for number in range(USERS * EDITORS_OF_EACH)
        ]
    return users, {person.id: person.email for person in people}


@contextmanager
def _signed_in(server: Server, people: dict[int, str]) -> Iterator[list[Editor]]:
    crowd = [Editor(server, editor_id, email, PASSWORD) for editor_id, email in people.items()]
    try:
        yield crowd
    finally:
        for editor in crowd:
            editor.leave()  # or the workers would wait for it


def _edit_in_rounds(server: Server, user_id: int, group: list[Editor], rounds: int, done: Run) -> None:
    """In each round all of the group type another name, but for one who types another e-mail: so there is
    a conflict that one wins, and somebody whose change has to be merged with that.
    """
    with ThreadPoolExecutor(len(group) + 1) as threads:
        for number in range(rounds):
            forms = list(threads.map(lambda editor: editor.open_form(user_id), group))

            def send(place: int, editor: Editor, form: dict[str, str], number: int = number) -> Edit:
                mark = f"{user_id}.{number}.{editor.id}"  # never typed twice
                if place == number % len(group):
                    return editor.send_form(user_id, form, "email", f"at.{mark}@example.org")
                return editor.send_form(user_id, form, "full_name", f"Name {mark}")

            kills = number % ROUNDS_TO_A_KILL == user_id  # each group in another round
            killing = [threads.submit(_kill_worker, server)] if kills else []
            done.edits += threads.map(send, range(len(group)), group, forms)
            done.kills += sum(job.result() for job in killing)


def _kill_worker(server: Server) -> int:
    """In the middle of whatever it does; the master starts another. Answers how many were killed."""
    sleep(random.uniform(0, LONGEST_DELAY_SECONDS))
    try:
        os.kill(random.choice(server.workers()), signal.SIGKILL)
    except (IndexError, ProcessLookupError):  # all are just being started anew
        return 0
    return 1
