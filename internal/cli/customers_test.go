package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/evidence"
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

func TestACustomerIsNamedByIDOrAddressAndNothingElse(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	id := m.buyer("ann@example.com").String()
	const nobody = "01932f6c-0000-7000-8000-000000000000"
	profile, err := filepath.Abs("../../examples/profile.yaml")
	m.must(err)
	for _, command := range []string{"keys create --role customer --name shop", "submit --profile " + profile + " --package starter --again"} {
		for _, whom := range []string{id, "ann@example.com", "Ann@Example.com"} {
			m.says(m.types("", command+" --customer "+whom+" --json"), ExitOK, `"customer_id":"`+id+`"`, ``)
		}
		m.says(m.types("", command+" --customer "+nobody), ExitNotFound, `^$`, `there is no customer `+nobody)
		for text, why := range map[string]string{
			"notmail": `"notmail" is not an e-mail address`, "'not a mail\n'": `is not an e-mail address`, strings.Repeat("a", 388) + "@example.com": `has 400 characters, at most 254 fit`,
		} {
			m.says(m.types("", command+" --customer "+text), ExitUsage, `^$`, `^directorybolt: --customer .*`+why)
		}
	}
	m.says(m.types("", "keys create --role customer --name shop --customer ann@example.com"), ExitOK, `^dbk_live_`, `^key `)
	m.says(m.types("", "keys create --role staff --name shop --customer bob@example.com"), ExitUsage, `^$`, `a key of role staff belongs to no customer`)
	m.says(m.types("", "customers show bob@example.com"), ExitNotFound, `^$`, `there is no customer`)
	m.says(m.types("", "keys create --role customer --name shop --customer bob@example.com"), ExitOK, `^dbk_live_`, `^customer [0-9a-f-]{36} is new: bob@example\.com\nkey `)
	m.says(m.types("", "keys create --role customer --name shop --customer eve@mail.corp"), ExitOK, `^dbk_live_`, `is new: eve@mail\.corp`) // a house's own
	m.says(m.types("", "customers show notmail"), ExitUsage, `^$`, `"notmail" is neither the id nor the e-mail address of a customer`)
}

// machine is a process with a data directory of its own, on the store of a morgue.
type machine struct{ house }

func newMachine(t *testing.T) machine {
	t.Helper()
	var m machine
	m.config.DataDir = t.TempDir()
	return m
}

func (m machine) keep(t *testing.T, page string) (name string) {
	t.Helper()
	name, _, err := m.evidence().Put(t.Context(), "text/html", []byte(page))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// has reports whether a proof is on the disk.
func (m machine) has(name string) bool {
	_, err := os.Stat(filepath.Join(m.config.DataDir, "evidence", name[:2], name[2:4], name))
	return err == nil
}

// A customer's proofs are on two machines, one of which deletes it.
func TestProofsOfADeletedCustomerAreRemovedFromEveryMachine(t *testing.T) {
	t.Parallel()
	m, here, there, off := newMorgue(t), newMachine(t), newMachine(t), newMachine(t)
	ann, bob := m.buyer("ann@example.com"), m.buyer("bob@example.com")
	var own, shared string
	for _, mc := range []machine{here, there, off} {
		own, shared = mc.keep(t, "Thank you, Ann"), mc.keep(t, "Thank you")
	}
	m.proven(ann, own, shared)
	m.proven(bob, shared)
	on := func(name string) (all []bool) {
		for _, mc := range []machine{here, there, off} {
			all = append(all, mc.has(name))
		}
		return all
	}
	says := func(moment string, wantOwn ...bool) {
		t.Helper()
		if got := on(own); !slices.Equal(got, wantOwn) {
			t.Errorf("%s: the proof is on machines %v, want %v", moment, got, wantOwn)
		}
		if got := on(shared); !slices.Equal(got, []bool{true, true, true}) {
			t.Errorf("%s: the proof that another customer has too is on machines %v", moment, got)
		}
	}
	sweeper := there.sweeper(m)
	sweep := func(s *evidence.Sweeper, want int) {
		t.Helper()
		if n, err := s.Pass(t.Context()); err != nil || n != want {
			t.Errorf("%d proofs removed, error %v; want %d", n, err, want)
		}
	}
	sweep(sweeper, 0)
	says("before", true, true, true)
	done, err := here.erase(t.Context(), m, ann, job.By{Actor: "cli:ann", Reason: "asked for it"})
	m.must(err)
	if !slices.Equal(done.Evidence, []string{own}) {
		t.Errorf("proofs to remove %q, want %q", done.Evidence, own)
	}
	says("deleted", false, true, true)
	sweep(sweeper, 1)
	says("a pass later", false, false, true)
	sweep(off.sweeper(m), 1)
	says("when the third was started", false, false, false)

	// The last who has it is deleted by a process that dies when that is committed.
	if _, err := m.EraseCustomer(t.Context(), bob, job.By{Actor: "cli:ann", Reason: "asked for it"}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*evidence.Sweeper{sweeper, here.sweeper(m), off.sweeper(m)} {
		sweep(s, 1)
		sweep(s, 0)
	}
	if got := on(shared); !slices.Equal(got, []bool{false, false, false}) {
		t.Errorf("the proof is on machines %v still", got)
	}
}

func (m *morgue) buyer(email string) job.ID {
	m.t.Helper()
	id, err := m.EnsureCustomer(m.t.Context(), submit.Customer{Email: email, Name: "A person"})
	m.must(err)
	return id
}

// proven gives a customer an order that is done, with a submission for each proof.
func (m *morgue) proven(customer job.ID, names ...string) {
	m.t.Helper()
	ctx, worker := m.t.Context(), job.NewID()
	m.must(m.Register(ctx, job.Worker{ID: worker, Host: "h", PID: 1, Version: "test", Kinds: []string{job.KindOrder}, Capacity: 1}, time.Hour))
	_, err := m.Enqueue(ctx, job.Spec{Kind: job.KindOrder, CustomerID: customer, Quota: len(names)})
	m.must(err)
	jobs, err := m.Claim(ctx, job.ClaimRequest{Worker: worker, Limit: 1, Kinds: []string{job.KindOrder}})
	m.must(err)
	lease := jobs[0].Lease()
	plan := directory.Plan{Identity: customer.String()}
	for i := range names {
		plan.Choices = append(plan.Choices, directory.Choice{Directory: fmt.Sprintf("d%d", i), Rank: i + 1})
	}
	subs, err := m.Plan(ctx, lease, plan)
	m.must(err)
	for i, s := range subs {
		_, err := m.Intend(ctx, lease, s.ID, time.Minute)
		m.must(err)
		proof := &directory.Evidence{Rule: "text thank you", Excerpt: "thank you", SHA256: names[i], At: time.Now()}
		m.must(m.Settle(ctx, lease, s.ID, directory.Outcome{State: directory.Submitted, Evidence: proof}))
	}
	_, err = m.Complete(ctx, lease)
	m.must(err)
}
