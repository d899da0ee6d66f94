package dbtest

import (
	"fmt"
	"testing"
	"time"
)

// clockSchema holds functions with the names of the server's own clock, moved by
// what the table says. The search path puts them before pg_catalog, for every
// connection that is made from then on, through a pooler too.
const clockSchema = `
CREATE SCHEMA testclock;
CREATE TABLE testclock.shift (ahead interval NOT NULL);
INSERT INTO testclock.shift VALUES ('0');
CREATE FUNCTION testclock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.statement_timestamp() + ahead FROM testclock.shift';
CREATE FUNCTION testclock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM testclock.shift';
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = testclock, pg_catalog, public', current_database());
END $$`

// Clock puts a clock into the database that the returned function moves forward,
// for every statement that begins after. Call it when the schema is migrated and
// before the connections under test are opened.
func Clock(t testing.TB, url string) (advance func(time.Duration)) {
	t.Helper()
	Exec(t, url, clockSchema)
	return func(d time.Duration) {
		t.Helper()
		Exec(t, url, fmt.Sprintf("UPDATE testclock.shift SET ahead = ahead + interval '%d microseconds'", d.Microseconds()))
	}
}

// StoppedClock puts a clock into the database that stands where the returned
// function sets it, and may be set back. Otherwise it is like [Clock].
func StoppedClock(t testing.TB, url string) (set func(time.Time)) {
	t.Helper()
	Exec(t, url, stoppedClockSchema)
	return func(to time.Time) {
		t.Helper()
		Exec(t, url, fmt.Sprintf("UPDATE testclock.stopped SET at = '%s'", to.UTC().Format(time.RFC3339Nano)))
	}
}

const stoppedClockSchema = `
CREATE SCHEMA testclock;
CREATE TABLE testclock.stopped (at timestamptz NOT NULL);
INSERT INTO testclock.stopped VALUES (pg_catalog.clock_timestamp());
CREATE FUNCTION testclock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT at FROM testclock.stopped';
CREATE FUNCTION testclock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT at FROM testclock.stopped';
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = testclock, pg_catalog, public', current_database());
END $$`
