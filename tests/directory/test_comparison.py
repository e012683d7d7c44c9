"""Strings are compared as scim2-models compares them."""

import sqlite3

from hypothesis import given
from hypothesis import strategies as st
from scim2_models import Path, User, default_comparison_key

from scim_bridge.directory.comparison import folded, normalized, register
from scim_bridge.directory.database import Database
from tests.postgresql import Postgresql

USER_NAME = Path[User]("userName").resolve()
EXTERNAL_ID = Path[User]("externalId").resolve()


@given(st.text())
def test_the_forms_are_those_of_scim2_models(text: str) -> None:
    """`caseExact` or not (RFC 7643 §2.2), with NFC."""
    assert folded(text) == default_comparison_key(USER_NAME, text)
    assert normalized(text) == default_comparison_key(EXTERNAL_ID, text)


@given(st.text())
def test_a_form_is_its_own_form(text: str) -> None:
    """What is stored in a column can be prepared again and stays."""
    assert folded(folded(text)) == folded(text)
    assert normalized(normalized(text)) == normalized(text)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_sqlite_computes_the_same(text: str) -> None:
    """In a statement as in Python, and NULL stays NULL."""
    connection = sqlite3.connect(":memory:")
    register(connection)
    row = connection.execute("SELECT folded(?), normalized(?), folded(NULL)", (text, text))
    assert row.fetchone() == (folded(text), normalized(text), None)
    connection.close()


def test_postgresql_computes_the_same(postgresql: Postgresql) -> None:
    """For every letter that has a lowercase, wherever it stands beside a sigma."""
    letters = [chr(code) for code in range(1, 0x20000) if chr(code).lower() != chr(code)]
    marks = ["a", " ", "1", "\u0301", "\u0307", "\u200b", ".", "'", "\\", "ͅ", "ʰ"]
    forms = ("{}", "a{}Σ", " {}Σ", "aΣ{}", "Σ{}b", "aΣ{}b")
    texts = [form.format(each) for form in forms for each in letters[::7] + marks] + letters
    with postgresql.fresh() as url:
        database = Database(url)
        with database.reading() as connection:
            rows = connection.exec_driver_sql(
                "SELECT given, folded(given), normalized(given) FROM unnest(%s::text[]) given",
                (texts,),
            ).all()
            assert connection.exec_driver_sql("SELECT folded(NULL)").scalar() is None
        database.close()
    different = [row for row in rows if (row[1], row[2]) != (folded(row[0]), normalized(row[0]))]
    assert not different
