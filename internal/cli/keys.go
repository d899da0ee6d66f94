package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
)

type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make a key. Its text is printed once and kept nowhere."`
	List   keysListCmd   `cmd:"" help:"List keys, newest first; never their text."`
	Revoke keysRevokeCmd `cmd:"" help:"End keys, and the browser sessions they opened, for ever."`
}

// Help says how keys are changed without a gap.
func (keysCmd) Help() string {
	return "To change a key, create the new one, give it to whoever uses the old one, see under LAST USED that the old one rests, " +
		"and revoke that. Both work meanwhile.\n\n" +
		examples("directorybolt keys create --role staff --name ann", "directorybolt keys list", "directorybolt keys revoke 7f3kq0aa")
}

type keysCreateCmd struct {
	Role     string         `required:"" enum:"customer,worker,staff,admin" placeholder:"ROLE" help:"What the key may do: customer (its own orders), worker (claim and end jobs), staff (see all, act on jobs) or admin (staff, and keys, purges, erasures)."`
	Name     string         `required:"" placeholder:"NAME" help:"Who or what uses it."`
	Customer string         `placeholder:"CUSTOMER" help:"Whose orders it sees, by e-mail address or id; with role customer. An address that nobody has yet makes a customer."`
	Expires  *time.Duration `placeholder:"DURATION" help:"How long it works, such as 2160h; for ever unless told."`
	acting
}

// Help shows how it is typed.
func (keysCreateCmd) Help() string {
	return examples(
		"directorybolt keys create --role admin --name ann --expires 2160h",
		"directorybolt keys create --role customer --customer owner@example.com --name portal",
		"directorybolt keys create --role worker --name python-workers --json",
	)
}

// Run makes the key.
func (c keysCreateCmd) Run(ctx context.Context, a *app) error {
	if c.Expires != nil && *c.Expires <= 0 {
		return usage(fmt.Errorf("--expires %s: a key cannot expire before it is used", *c.Expires), "leave it out and the key works for ever, or give a duration such as 2160h")
	}
	return a.withStore(ctx, func(s backend) error {
		customer, err := c.customer(ctx, a, s)
		if err != nil {
			return err
		}
		var expires time.Time
		if c.Expires != nil {
			expires = time.Now().Add(*c.Expires).UTC().Truncate(time.Microsecond)
		}
		text, k, err := auth.Mint(c.Name, auth.Role(c.Role), customer, expires, c.by().Actor)
		if err != nil {
			return refusedKey(err)
		}
		if k, err = s.AddKey(ctx, k, auth.HashOf(text), c.by()); err != nil {
			return err
		}
		return c.tell(a, text, k)
	})
}

// customer is whose key it is to be: whom an id names, or an e-mail address, which may
// make one.
func (c keysCreateCmd) customer(ctx context.Context, a *app, s backend) (job.ID, error) {
	if c.Customer == "" {
		return job.ID{}, nil
	}
	if isID(c.Customer) {
		account, err := customerNamed(ctx, s, c.Customer)
		return account.ID, err
	}
	if _, _, err := auth.Mint(c.Name, auth.Role(c.Role), job.NewID(), time.Time{}, ""); err != nil {
		return job.ID{}, refusedKey(err) // before anybody is made for it
	}
	_, unknown := s.CustomerByEmail(ctx, c.Customer)
	id, err := s.EnsureCustomer(ctx, submit.Customer{Email: c.Customer})
	if err == nil && errors.Is(unknown, job.ErrNotFound) {
		a.say("customer %s is new: %s", id, plain(c.Customer))
	}
	return id, noAddress(err)
}

func refusedKey(err error) error { return usage(err, "see: directorybolt keys create --help") }

func (keysCreateCmd) tell(a *app, text string, k auth.Key) error {
	if a.JSON {
		return a.object(struct {
			Text string `json:"key"`
			auth.Key
		}{text, k}) // the text is data: it goes to stdout, as without --json
	}
	if err := a.printf("%s\n", text); err != nil {
		return err
	}
	a.say("key %s of %s, role %s%s. It is shown this once: keep it now.", k.ID, plain(k.Name), k.Role, until(k.ExpiresAt))
	a.say("use it as: Authorization: Bearer %s…", text[:len("dbk_live_")+len(k.ID)+1])
	return nil
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + stamp(t)
}

type keysListCmd struct{}

// Help shows how it is typed.
func (keysListCmd) Help() string {
	return examples("directorybolt keys list", "directorybolt keys list --json")
}

// Run lists the keys.
func (keysListCmd) Run(ctx context.Context, a *app) error {
	return a.withStore(ctx, func(s backend) error {
		keys, err := s.Keys(ctx)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			a.say("no keys; make one with: directorybolt keys create --role admin --name NAME")
		}
		now, err := s.Now(ctx)
		if err != nil {
			return err
		}
		return list(a, keys, []string{"ID", "NAME", "ROLE", "CUSTOMER", "CREATED", "BY", "LAST USED", "STANDING"}, func(k auth.Key) []string {
			return []string{k.ID, plain(k.Name), string(k.Role), idOrNone(k.CustomerID), stamp(k.CreatedAt), plain(k.CreatedBy), stamp(k.LastUsedAt), standing(k, now)}
		})
	})
}

// standing says whether a key works.
func standing(k auth.Key, now time.Time) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked " + stamp(k.RevokedAt)
	case k.ExpiresAt.IsZero():
		return "valid"
	case now.After(k.ExpiresAt):
		return "expired " + stamp(k.ExpiresAt)
	}
	return "valid until " + stamp(k.ExpiresAt)
}

type keysRevokeCmd struct {
	IDs []string `arg:"" name:"id" help:"Ids of keys: the eight characters after dbk_live_."`
	acting
}

// Help shows how it is typed.
func (keysRevokeCmd) Help() string {
	return "It takes effect within five seconds in every process.\n\n" +
		examples(`directorybolt keys revoke 7f3kq0aa --reason "ann left"`)
}

// Run revokes the keys.
func (c keysRevokeCmd) Run(ctx context.Context, a *app) error {
	return a.withStore(ctx, func(s backend) error {
		var faults []error
		for _, id := range c.IDs {
			err := s.RevokeKey(ctx, id, c.by())
			switch {
			case errors.Is(err, job.ErrNotFound):
				faults = append(faults, notFound(fmt.Errorf("no key %q", id), "see: directorybolt keys list"))
			case errors.Is(err, job.ErrState):
				faults = append(faults, remedied(fmt.Errorf("key %s is revoked already", id), "see: directorybolt keys list"))
			case err != nil:
				faults = append(faults, err)
			default:
				if err := c.tell(a, id); err != nil {
					return err
				}
			}
		}
		return summed(a, faults, len(c.IDs))
	})
}

func (keysRevokeCmd) tell(a *app, id string) error {
	if a.JSON {
		return a.object(struct {
			ID   string `json:"id"`
			Done string `json:"done"`
		}{id, "revoked"})
	}
	return a.printf("revoked %s\n", id)
}
