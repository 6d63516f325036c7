"""Organizations of tests text and call at any hour unless a test says otherwise: none depends on the hour at which it runs."""

import asyncpg

ANY_HOUR = """
    ALTER TABLE organizations
        ALTER COLUMN recipient_hours_enabled SET DEFAULT false, ALTER COLUMN voice_quiet_hours_enabled SET DEFAULT false
"""
#: As the migrations leave it.
AS_MIGRATED = ANY_HOUR.replace("false", "true")


async def at_any_hour(database_url: str) -> None:
    """Have new organizations of this database keep no hours of contacts and callees."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(ANY_HOUR)
    finally:
        await connection.close()
