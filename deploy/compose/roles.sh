#!/bin/sh
# What `hum migrate --print-roles` prints, for the login `hum`; the database's first start runs it, once.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
  --set=password="$(cat /run/secrets/HUM_DATABASE_PASSWORD)" <<'SQL'
CREATE ROLE hum LOGIN PASSWORD :'password';
CREATE ROLE hum_owner NOLOGIN;
CREATE ROLE hum_app NOLOGIN;
CREATE ROLE hum_system NOLOGIN;
GRANT hum_owner, hum_app, hum_system TO hum;
GRANT CREATE ON DATABASE hum TO hum_owner;
GRANT USAGE, CREATE ON SCHEMA public TO hum_owner;
GRANT USAGE ON SCHEMA public TO hum_app, hum_system;
GRANT pg_read_all_stats TO hum_system;
SQL
