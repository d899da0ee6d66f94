package cli

import (
	"context"
	"errors"

	"github.com/directorybolt/directorybolt/internal/api"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

type submitCmd struct {
	Profile  string `required:"" type:"path" placeholder:"FILE" help:"The business, as YAML or JSON."`
	Package  string `required:"" enum:"starter,growth,professional,enterprise" placeholder:"NAME" help:"What was bought: starter (50 directories), growth (100), professional (300) or enterprise (500)."`
	Customer string `placeholder:"CUSTOMER" help:"Who pays, by e-mail address or id; the profile's e-mail unless told."`
	Key      string `xor:"key" placeholder:"KEY" help:"Idempotency key: the same key is one order. Made from customer, package and profile unless told."`
	Again    bool   `xor:"key" help:"Order again although the same order exists. Directories that have the business are passed over."`
	Wait     bool   `short:"w" help:"Follow the order until it is final, then show what came of it."`
	Actor    string `placeholder:"WHO" help:"Who acts, for the history; by default cli:USER."`
}

// Help shows how it is typed.
func (submitCmd) Help() string {
	return `The same command twice is one order. With --wait the exit status is 0 when the order completed, also when ` +
		`a person has work left (needs_action); 4 when it completed, but it is short of directories, or some are uncertain, or ` +
		`failed or were skipped without a replacement; and 1 when it failed or was cancelled.` + "\n\n" +
		examples(
			"directorybolt submit --profile bakery.yaml --package starter --wait",
			"directorybolt submit --profile bakery.yaml --package growth --customer owner@example.com --json",
		)
}

// Run places the order and, if asked, follows it.
func (c submitCmd) Run(ctx context.Context, a *app) error {
	pack, err := directory.PackageByName(c.Package)
	if err != nil {
		return usage(err, "")
	}
	business, err := directory.ReadProfile(c.Profile)
	if err != nil {
		return usage(err, "")
	}
	return a.withStore(ctx, func(s backend) error {
		placed, err := c.place(ctx, a, s, business, pack)
		if err != nil {
			return err
		}
		if !c.Wait {
			return c.tell(ctx, a, s, placed)
		}
		c.announce(ctx, a, s, placed)
		report, err := follow(ctx, a.view(pack.Name+" order for "+business.Name), s, placed.ID)
		if err != nil {
			return orderGoesOn(a, placed.ID, err)
		}
		return c.finish(a, report)
	})
}

// placed answers a submit.
type placed struct {
	job.Enqueued
	Package    string `json:"package"`
	Quota      int    `json:"quota"`
	ValueCents int64  `json:"value_cents"`
	CustomerID job.ID `json:"customer_id"`
}

func (c submitCmd) place(ctx context.Context, a *app, s backend, b *directory.Business, p directory.Package) (placed, error) {
	settings, err := a.settings()
	if err != nil {
		return placed{}, err
	}
	o := api.NewOrder{Package: p, Business: b, Email: c.Customer, Key: c.key(), Actor: c.actor()}
	if isID(c.Customer) {
		account, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return placed{}, err
		}
		o.Customer = account.ID
	}
	order, err := clerk{s, settings}.Place(ctx, o)
	if err != nil {
		return placed{}, noAddress(err)
	}
	return placed{order.Enqueued, p.Name, p.Quota, p.PriceCents, order.CustomerID}, nil
}

// key is empty when the order names itself.
func (c submitCmd) key() string {
	if c.Again {
		return "again:" + job.NewID().String()
	}
	return c.Key
}

func (c submitCmd) actor() string {
	if c.Actor != "" {
		return c.Actor
	}
	return defaultActor()
}

// announce says what was placed, for who waits.
func (c submitCmd) announce(ctx context.Context, a *app, s backend, p placed) {
	if p.Created {
		a.say("order %s: %s, %s", p.ID, count(p.Quota, "directory"), dollars(p.ValueCents))
	} else {
		a.say("order %s exists already; nothing was added (--again orders once more)", p.ID)
	}
	if workers, err := s.Workers(ctx, 0); err == nil && len(workers) == 0 {
		a.say("no worker is running; start one with: directorybolt all")
	}
}

// tell answers who does not wait.
func (c submitCmd) tell(ctx context.Context, a *app, s backend, p placed) error {
	if a.JSON {
		return a.object(p)
	}
	if err := a.printf("%s\n", p.ID); err != nil {
		return err
	}
	c.announce(ctx, a, s, p)
	a.say("follow it with: directorybolt jobs show %s", p.ID)
	return nil
}

// orderGoesOn tells who stopped watching that nothing else stopped.
func orderGoesOn(a *app, id job.ID, err error) error {
	if errors.Is(err, context.Canceled) {
		a.say("the order goes on; see: directorybolt jobs show %s", id)
	}
	return err
}

// finish prints what came of the order and chooses the exit status.
func (c submitCmd) finish(a *app, r orderReport) error {
	if err := r.print(a); err != nil {
		return err
	}
	return exitWith(r.status())
}

// orderReport is what came of an order.
type orderReport struct {
	Job         job.Job                `json:"job"`
	Books       string                 `json:"books"`
	Balanced    bool                   `json:"balanced"`
	Submissions []directory.Submission `json:"submissions"`

	books orderBooks
}

func newOrderReport(j job.Job, subs []directory.Submission) orderReport {
	b := booksOf(subs, j)
	j.Payload = nil // the profile, which the caller has
	return orderReport{Job: j, Books: b.String(), Balanced: b.balanced(), Submissions: subs, books: b}
}

func (r orderReport) print(a *app) error {
	if a.JSON {
		return a.object(r)
	}
	if err := results(a, r.Submissions); err != nil {
		return err
	}
	a.say("order %s %s: %s", r.Job.ID, r.Job.State, r.Books)
	if r.Job.Cause != "" && r.Job.State != job.Completed {
		a.say("cause: %s", plain(r.Job.Cause))
	}
	return nil
}

func (r orderReport) status() int {
	switch {
	case r.Job.State != job.Completed:
		return ExitFailure
	case r.books.shortfall > 0, r.books.states[directory.Uncertain] > 0,
		r.books.states[directory.FailedState]+r.books.states[directory.Skipped] > r.books.replaced:
		return ExitPartly
	}
	return ExitOK
}
