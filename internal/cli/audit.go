package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/books"
	"github.com/directorybolt/directorybolt/internal/job"
)

type auditCmd struct{}

// Help shows how it is typed.
func (auditCmd) Help() string {
	return "It sums up what was paid for and where that is now, checks the books of every order, and says what is at risk and what " +
		"recovery and redrives saved. Nothing is changed. `all` and `stale-monitor` check the same every minute, a part at a time, and tell people. " +
		"Exit status 5 when the books do not balance.\n\n" +
		examples("directorybolt audit", "directorybolt audit --json | jq .at_risk")
}

// Run prints the proof.
func (auditCmd) Run(ctx context.Context, a *app) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		said := time.Now()
		p, err := books.Prove(ctx, s, settings.StallAfter(), func(orders int) {
			if time.Since(said) >= time.Second {
				said = time.Now()
				a.say("checked %s", count(orders, "order"))
			}
		})
		if err != nil {
			return err
		}
		if err := a.tellProof(p); err != nil {
			return err
		}
		if !p.Holds {
			return exitWith(ExitUnhealthy)
		}
		return nil
	})
}

func (a *app) tellProof(p books.Proof) error {
	if a.JSON {
		return a.object(p)
	}
	rows := [][]string{
		{"money", p.Money(dollars)},
		{"directories", p.Directories()},
		{"not planned", fmt.Sprintf("%d directories bought", p.Unplanned)},
		{"archived", archivedText(p.Archived)},
		{"one by one", fmt.Sprintf("%s checked, %d unbalanced", count(p.Checked, "order"), len(p.Unbalanced))},
		{"at risk", riskText(p.AtRisk)},
		{"protected", fmt.Sprintf("%s in 7 days, %s in 30", protectionText(p.Protected.Week), protectionText(p.Protected.Month))},
	}
	if p.Unplanned == 0 {
		rows[2][1] = ""
	}
	if err := table(a.stdout, []string{"orders", p.Orders()}, withoutBlank(rows)); err != nil {
		return err
	}
	if p.Holds {
		return a.printf("the books balance\n")
	}
	for _, f := range p.Unbalanced {
		if err := a.printf("%s: %s\n", f.OrderID, f.Cause); err != nil {
			return err
		}
	}
	if p.More {
		a.say("and more")
	}
	return a.printf("the books do not balance: see docs/runbook.md, \"The books do not balance\"\n")
}

func archivedText(archived map[job.State]job.Sum) string {
	var all job.Sum
	for _, s := range archived {
		all = all.Plus(s)
	}
	if all.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%s of earlier times, %s", count(int(all.Count), "order"), dollars(all.ValueCents))
}

func riskText(r job.Risk) string {
	return fmt.Sprintf("%s = %s stuck + %s failed + %s late", dollars(r.Total().ValueCents), dollars(r.Stuck.ValueCents),
		dollars(r.Failed.ValueCents), dollars(r.Late.ValueCents))
}

func protectionText(p job.Protection) string {
	return fmt.Sprintf("%s (%s)", dollars(p.Total().ValueCents), count(int(p.Total().Count), "order"))
}
