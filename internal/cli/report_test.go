package cli

import "testing"

func TestReportsHaveThreeForms(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	m.die(1, "timeout")
	m.says(m.types("", "report --daily"), ExitOK, `^Daily report, .*dead letters open now +1, the oldest .*\(target 0: missed\)`, `^$`)
	m.says(m.types("", "report --weekly --json"), ExitOK, `^\{"period":\{"name":"weekly".*"dead_letters":\{"arrived":1,`, ``)
	m.says(m.types("", "report --monthly --html"), ExitOK, `^<!doctype html>.*revenue protected.*\$2500\.00`, ``)
	m.says(m.types("", "report --daily --until 2026-11-22"), ExitOK, `^Daily report, 2026-11-22 00:00Z to 2026-11-23 00:00Z\n`, ``)
	m.says(m.types("", "report"), ExitUsage, `^$`, ``)
	m.says(m.types("", "report --daily --weekly"), ExitUsage, `^$`, ``)
	m.says(m.types("", "report --daily --until soon"), ExitUsage, `^$`, `--until "soon" is no day`)
	m.says(m.types("", "report --daily --html --json"), ExitUsage, `^$`, `two forms`)
}
