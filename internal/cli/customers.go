package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

type customersCmd struct {
	Show   customersShowCmd   `cmd:"" help:"Show a customer."`
	Delete customersDeleteCmd `cmd:"" help:"Remove everything personal about a customer; anonymous facts stay."`
}

// Help shows how they are typed.
func (customersCmd) Help() string {
	return examples("directorybolt customers show owner@example.com", `directorybolt customers delete owner@example.com --reason "asked for it"`)
}

type customersShowCmd struct {
	Customer string `arg:"" name:"customer" help:"Id of the customer, or its e-mail address."`
}

// Help shows how it is typed.
func (customersShowCmd) Help() string {
	return examples("directorybolt customers show owner@example.com")
}

// Run prints the customer.
func (c customersShowCmd) Run(ctx context.Context, a *app) error {
	return a.withStore(ctx, func(s backend) error {
		account, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		if a.JSON {
			return a.object(account)
		}
		return table(a.stdout, []string{"customer", account.ID.String()}, withoutBlank([][]string{
			{"email", account.Email},
			{"name", account.Name},
			{"since", stamp(account.CreatedAt)},
		}))
	})
}

const howToNameCustomers = "give an id or an e-mail address; jobs show has the id of an order's customer"

// customerNamed finds a customer by id or e-mail address.
func customerNamed(ctx context.Context, s backend, text string) (auth.Account, error) {
	account, err := s.CustomerByEmail(ctx, text)
	if id, bad := uuid.Parse(text); bad == nil {
		account, err = s.Customer(ctx, id)
	}
	switch {
	case !errors.Is(err, job.ErrNotFound):
		return account, err
	case !isID(text) && directory.EmailFault(strings.TrimSpace(text)) != "":
		return account, usage(fmt.Errorf("%q is neither the id nor the e-mail address of a customer", text), howToNameCustomers)
	}
	return account, notFound(fmt.Errorf("there is no customer %s", text), howToNameCustomers)
}

// customerID reads whom a filter means. An id is taken as it stands: what a deleted customer
// left is found by it still.
func customerID(ctx context.Context, s backend, text string) (job.ID, error) {
	if id, err := uuid.Parse(text); err == nil && id != uuid.Nil {
		return id, nil
	}
	account, err := customerNamed(ctx, s, text)
	return account.ID, err
}

func isID(text string) bool { return uuid.Validate(text) == nil }

// noAddress tells a person that what was given as a customer's e-mail address is none.
func noAddress(err error) error {
	var invalid *job.InvalidError
	if errors.As(err, &invalid) && invalid.Field == "email" {
		return usage(fmt.Errorf("--customer %s", invalid.Reason), "an id of a customer will do too")
	}
	return err
}

type customersDeleteCmd struct {
	Customer string `arg:"" name:"customer" help:"Id of the customer, or its e-mail address."`
	Yes      bool   `help:"Delete without asking."`
	acting
}

// Help says what goes and what stays.
func (customersDeleteCmd) Help() string {
	return "Name, address, profiles, identities, listings, evidence, keys and what was said about them are removed for ever. Which orders there were, " +
		"what was paid and what became of each directory stays, without a person. Orders that are not over must be cancelled first; pending " +
		"rechecks are cancelled and open dead letters purged. Proofs are removed from this machine's disk at once, and from the disk of each other machine by its workers, within minutes or when they start again; --json names them in evidence.\n\n" +
		examples(`directorybolt customers delete owner@example.com --reason "asked for it by mail"`)
}

// Run deletes.
func (c customersDeleteCmd) Run(ctx context.Context, a *app) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usage(errors.New("a deletion needs a reason"), "add --reason TEXT")
	}
	h, err := a.errand()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		id, err := customerID(ctx, s, c.Customer) // also of one that was deleted before: what came since goes
		if err != nil {
			return err
		}
		if !c.Yes && !a.confirmed(id.String()) {
			return usage(errors.New("not confirmed; nothing was deleted"), "type the id, or add --yes")
		}
		done, err := h.erase(ctx, s, id, c.by())
		if errors.Is(err, job.ErrState) {
			return remedied(err, "cancel what is not over: directorybolt jobs cancel ID; then delete again")
		}
		if err != nil {
			return err
		}
		if a.JSON {
			return a.object(done)
		}
		return a.printf("deleted customer %s: %s, %s, %s and %s are anonymous now\n", id, count(int(done.Jobs), "job"),
			count(int(done.Submissions), "submission"), count(int(done.Events), "event"), count(int(done.Letters), "dead letter"))
	})
}

// erase removes a customer from the store, and from this machine's disk the proofs that
// nothing refers to any more. Sweepers remove them from other disks, and from this one
// where it does not come to that.
func (h house) erase(ctx context.Context, s backend, id job.ID, by job.By) (auth.Erasure, error) {
	done, err := s.EraseCustomer(ctx, id, by)
	if err != nil {
		return done, err
	}
	if _, err := h.evidence().Clear(ctx, done.Evidence, s); err != nil {
		return done, fmt.Errorf("customer %s is erased, its proofs on this disk not yet: %w", id, err)
	}
	return done, nil
}
