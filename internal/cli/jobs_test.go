package cli

import (
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
)

func TestWhoNamesNothingIsToldWhereIDsArePrinted(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	for args, want := range map[string]string{
		"stale recover --job 00000000-0000-0000-0000-000000000000 --reason x": `"00000000-0000-0000-0000-000000000000" is not the id of a job`,
		"dlq journal --before x": `"x" is not the id of a journal entry \(ids are printed by: directorybolt dlq journal\)`,
		"dlq list --before x":    `"x" is not the id of a letter \(ids are printed by: directorybolt dlq list --json\)`,
	} {
		m.says(m.types("", args), ExitUsage, `^$`, `^directorybolt: `+want)
	}
}

func TestFiltersTakeACustomersAddress(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	ann := m.buyer("ann@example.com")
	_, err := m.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop, CustomerID: ann, MaxAttempts: 1}, job.Spec{Kind: job.KindNoop, MaxAttempts: 1})
	m.must(err)
	m.fail("it broke")
	for _, command := range []string{"jobs list", "dlq list"} {
		for _, whom := range []string{"Ann@example.com", ann.String()} {
			m.says(m.types("", command+" --json --customer "+whom), ExitOK, `\A\{[^\n]*"customer_id":"`+ann.String()+`"[^\n]*\n\z`, ``)
		}
		m.says(m.types("", command+" --customer bob@example.com"), ExitNotFound, `^$`, `there is no customer bob@example\.com`)
		m.says(m.types("", command+" --customer "+job.ID{}.String()), ExitNotFound, `^$`, `there is no customer 00000000-`)
		m.says(m.types("", command+" --customer bob"), ExitUsage, `^$`, `"bob" is neither the id nor the e-mail address of a customer`)
	}
	m.says(m.types("", "jobs pause --customer ann@example.com"), ExitOK, `^paused customer:`+ann.String()+`\n$`, `^$`)
	m.says(m.types("", "jobs resume --customer ann@example.com"), ExitOK, `^resumed customer:`+ann.String()+`\n$`, `^$`)
	m.says(m.types("", "jobs pause --customer bob"), ExitUsage, `^$`, `"bob" is neither`)
}

func TestASecondPauseSaysThatTheFirstStands(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	m.says(m.types("", "jobs pause --kind foo --actor cli:ann --reason move"), ExitOK, `^paused kind:foo\n$`, `^$`)
	m.says(m.types("", "jobs pause --kind foo --reason because"), ExitOK, `^paused kind:foo\n$`,
		`^kind:foo was paused already, since [-0-9]+ [:0-9]+Z by cli:ann: move; that stands, and nothing is kept of this pause \(jobs resume ends it\)\n$`)
	m.says(m.types("", "jobs pause --kind foo --json"), ExitOK, `^\{"scope":"kind:foo","done":"paused","before":\{.*"by":\{"actor":"cli:ann","reason":"move"\}\}\}\n$`, ``)
}
