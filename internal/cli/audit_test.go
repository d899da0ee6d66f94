package cli

import (
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
)

func TestAuditPrintsTheProof(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	m.says(m.types("", "audit"), ExitOK, `^orders +0 paid = .*^money +\$0\.00 paid = .*^the books balance\n$`, `^$`)
	made, err := m.Enqueue(t.Context(), job.Spec{Kind: job.KindOrder, Quota: 50, ValueCents: 14900})
	m.must(err)
	m.says(m.types("", "audit"), ExitOK, `^orders +1 paid = 1 pending \+ .*^not planned +50 directories bought\n.*^one by one +1 order checked, 0 unbalanced\n.*^at risk +\$0\.00 = `, ``)
	m.says(m.types("", "audit --json"), ExitOK, `"balanced":true,.*"checked":1,`, ``)

	m.exec("UPDATE jobs SET value_cents = 4900")
	id := made[0].ID.String()
	m.says(m.types("", "audit"), ExitUnhealthy, `^money +\$149\.00 paid ≠ \$49\.00 pending .*^`+id+`: 14900 cents were paid, and the order says 4900\n^the books do not balance: see docs/runbook\.md`, `^$`)
	m.says(m.types("", "audit --json"), ExitUnhealthy, `"balanced":false,.*"order_id":"`+id+`"`, ``)
}
