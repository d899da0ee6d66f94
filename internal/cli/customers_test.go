package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
)

func TestACustomerIsDeletedAfterAWordAndAReason(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	id, err := m.EnsureCustomer(t.Context(), submit.Customer{Email: "Ann@Example.com", Name: "Ann"})
	m.must(err)
	made, err := m.Enqueue(t.Context(), job.Spec{Kind: job.KindOrder, CustomerID: id, Quota: 1})
	m.must(err)
	order := made[0].ID.String()

	m.says(m.types("", "customers show ann@example.com"), ExitOK, `^customer +`+id.String()+`\nemail +ann@example\.com\nname +Ann\n`, `^$`)
	m.says(m.types("", "customers show bob@example.com"), ExitNotFound, `^$`, `there is no customer bob@example\.com`)
	m.says(m.types("", "customers delete ann@example.com --yes"), ExitUsage, `^$`, `a deletion needs a reason`)
	m.says(m.types("", "customers delete ann@example.com --reason x"), ExitUsage, `^$`, `not confirmed; nothing was deleted`)
	m.says(m.types("", "customers delete ann@example.com --reason x --yes"), ExitFailure, `^$`, `order `+order+` is pending: state does not allow this \(cancel what is not over`)
	m.says(m.types("", "jobs cancel "+order+" --reason x"), ExitOK, ``, ``)
	m.says(m.types(id.String()+"\n", "customers delete ann@example.com --reason 'asked for it'"), ExitOK,
		`^deleted customer `+id.String()+`: 1 job, 0 submissions, \d+ events and 0 dead letters are anonymous now\n$`, ``)
	m.says(m.types("", "customers show ann@example.com"), ExitNotFound, `^$`, `there is no customer`)
	m.says(m.types("", "customers delete "+id.String()+" --reason again --yes --json"), ExitOK, `^\{"jobs":1,`, ``)
	m.says(m.types("", "customers delete 01932f6c-0000-7000-8000-000000000000 --reason x --yes"), ExitNotFound, `^$`, ``)
	m.says(m.types("", "dlq journal"), ExitOK, ` customer_erase .* asked for it +customer `+id.String(), ``)
}

// A proof that nothing refers to any more is removed from the disk.
func TestProofsOfADeletedCustomerAreRemoved(t *testing.T) {
	t.Parallel()
	h := house{}
	h.config.DataDir = t.TempDir()
	name, _, err := h.evidence().Put(t.Context(), "text/html", []byte("Thank you, Ann"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(h.config.DataDir, "evidence", name[:2], name[2:4], name)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{name, name, "../../etc/passwd"} {
		if err := h.evidence().Remove(t.Context(), n); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the proof is still there: %v", err)
	}
}
