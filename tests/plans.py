"""How does a database find the rows of a statement? By an index, or by reading a whole table."""

import re
from typing import Any

from sqlalchemy import Connection


def steps(connection: Connection, statement: str, parameters: Any = ()) -> str:
    """The plan of a statement. PostgreSQL would rather read a table of a few rows; not here."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row.detail for row in plan)
    for way in ("seqscan", "hashjoin", "mergejoin"):
        connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return "\n".join(row[0] for row in plan)


def reads_all(plan: str, table: str) -> bool:
    """Whether a plan reads a whole table, be it in the order of an index."""
    if re.search(rf"\b(SCAN|Seq Scan on) {table}\b", plan):
        return True
    # An index without a condition is walked from one end to the other.
    scans = re.findall(rf"Scan using \S+ on {table}\b[^\n]*\n(\s*Index Cond)?", plan)
    return any(not condition for condition in scans)
