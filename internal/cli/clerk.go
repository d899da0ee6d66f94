package cli

import (
	"cmp"
	"context"

	"github.com/directorybolt/directorybolt/internal/api"
	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// clerk places orders, for the command line and for the api.
type clerk struct {
	store  backend
	config config.Config
}

// Place implements [api.Clerk].
func (c clerk) Place(ctx context.Context, o api.NewOrder) (api.Placed, error) {
	customer := o.Customer
	if customer == (job.ID{}) {
		var err error
		email := cmp.Or(o.Email, o.Business.Email)
		if customer, err = c.store.EnsureCustomer(ctx, submit.Customer{Email: email, Name: o.Business.Name}); err != nil {
			return api.Placed{}, err
		}
	}
	spec, err := submit.OrderSpec(customer, o.Business, o.Package, submit.OrderOptions{Key: o.Key, Actor: o.Actor, Trace: telemetry.Traceparent(ctx)})
	if err != nil {
		return api.Placed{}, err
	}
	spec.MaxAttempts, spec.CrashBudget = c.config.MaxAttempts, c.config.CrashBudget
	answers, err := c.store.Enqueue(ctx, spec)
	if err != nil {
		return api.Placed{}, err
	}
	return api.Placed{Enqueued: answers[0], CustomerID: customer}, nil
}
