"""Keys that the present rules would not make are noticed, and made anew."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import delete, select, update

from tests.cli.test_database import run
from tests.conftest import MakeUser, insert_users
from webapp.db import atomic, get_session
from webapp.listing.page import PageRequest, paginate
from webapp.users.keys import count_wrong_keys, mend_keys, note_password_methods
from webapp.users.models import USERS, User
from webapp.users.queries import LISTING, list_password_methods, select_users


@atomic
def spoil() -> None:
    get_session().execute(update(USERS).where(USERS.c.id == 2).values(search_text="  somebody", name_key="z"))


def names_found(word: str) -> list[str]:
    page = paginate(get_session(), LISTING, select_users(words=(word,)), PageRequest(sort="name"))
    get_session().rollback()
    return [row.full_name for row in page.rows]


def test_a_wrong_key_is_counted_and_mended(file_app: Flask) -> None:
    with file_app.app_context():
        insert_users([{"full_name": f"Ann {n}", "email": f"ann{n}@x.example"} for n in range(1, 5)])
        get_session().commit()
        assert count_wrong_keys() == 0
        versions = get_session().scalars(select(User.version)).all()
        spoil()
        assert count_wrong_keys() == 1
        assert len(names_found("ann")) == 3
        assert mend_keys() == 1
        assert (count_wrong_keys(), mend_keys()) == (0, 0)
        assert names_found("ann") == ["Ann 1", "Ann 2", "Ann 3", "Ann 4"]
        assert get_session().scalars(select(User.version)).all() == versions  # nobody edited anything
        get_session().rollback()


def test_without_users_there_is_nothing_wrong(file_app: Flask) -> None:
    with file_app.app_context():
        assert (count_wrong_keys(), mend_keys()) == (0, 0)


def test_the_doctor_names_the_remedy(file_app: Flask) -> None:
    with file_app.app_context():
        insert_users([{"full_name": f"Ann {n}", "email": f"ann{n}@x.example"} for n in range(1, 5)])
        get_session().commit()
        spoil()
    assert "1 are not found by their name and e-mail" in run(file_app, "doctor").output
    assert run(file_app, "reindex").exit_code == 0
    assert "are not found" not in run(file_app, "doctor").output


def test_methods_of_old_hashes_are_found_and_forgotten(app: Flask, make_user: MakeUser) -> None:
    methods = ["$argon2i$v=19$m=8,t=1,p=1", "pbkdf2:sha256:1000", "scrypt:8:8:1"]
    old = [*(f"{method}$c2FsdHNhbHQ$ab" for method in methods), "no hash"]
    users = [make_user(hashed_password=hashed) for hashed in (*old, *old, None)]
    make_user()
    with app.app_context():
        note_password_methods()
        assert sorted(list_password_methods()) == methods
        get_session().execute(delete(User).where(User.id.in_([user.id for user in users])))
        get_session().commit()
        note_password_methods()
        assert list_password_methods() == []
