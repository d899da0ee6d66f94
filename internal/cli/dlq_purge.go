package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

type dlqPurgeCmd struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Ids of jobs, or of letters."`
	letterFlags
	All    bool   `help:"All open dead letters."`
	DryRun bool   `help:"Say what would be purged, by reason; change nothing."`
	Export string `placeholder:"FILE" type:"path" help:"Where to export to; by default a new file in the data directory."`
	Yes    *int   `placeholder:"N" help:"Purge without asking, if exactly so many are selected."`
	acting
}

// Help shows how it is typed.
func (dlqPurgeCmd) Help() string {
	return "The letters are exported to a file first, with what the jobs were given, so that nothing is lost. Then the number is asked for. " +
		"A purged letter stays as a tombstone, with who and why, and its job stays failed; a redrive by id takes it up again.\n\n" +
		examples(
			`directorybolt dlq purge 01932f6c-… --reason "customer was refunded"`,
			`directorybolt dlq purge --signature 5f2c81d09a --reason "test orders" --yes 12`,
		)
}

// purgeBatch is how many letters are read, and resolved, at once.
const purgeBatch = 500

// Run purges.
func (c dlqPurgeCmd) Run(ctx context.Context, a *app) error {
	selected := c.given() || c.All
	switch {
	case strings.TrimSpace(c.Reason) == "":
		return usage(errors.New("a purge needs a reason"), "add --reason TEXT")
	case len(c.IDs) > 0 && selected:
		return usage(errors.New("ids and filters do not go together"), "name letters, or select them")
	case len(c.IDs) == 0 && !selected:
		return usage(errors.New("nothing is selected"), "name jobs, or give --signature, --customer, --kind, --since or --all")
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		p := purge{dlqPurgeCmd: c, app: a, store: s, dir: settings.DataDir}
		return p.run(ctx)
	})
}

// purge is one run of the command.
type purge struct {
	dlqPurgeCmd
	*app
	store backend
	dir   string
	file  string
	ids   []job.ID // exported
	value int64
}

func (p *purge) run(ctx context.Context) error {
	if p.DryRun {
		return p.dry(ctx)
	}
	if err := p.export(ctx); err != nil {
		return err
	}
	if len(p.ids) == 0 {
		if err := os.Remove(p.file); err != nil {
			return err
		}
		return notFound(errors.New("no dead letters to purge"), "see: directorybolt dlq list")
	}
	p.say("exported %s, worth %s, to %s; it holds what customers gave", count(len(p.ids), "letter"), dollars(p.value), p.file)
	if err := p.confirm(); err != nil {
		if gone := os.Remove(p.file); gone != nil {
			return gone
		}
		return err
	}
	return p.resolve(ctx)
}

// dry says what would go.
func (p *purge) dry(ctx context.Context) error {
	groups := map[string]*job.LetterGroup{}
	var order []string
	err := p.each(ctx, func(l job.Letter) error {
		g, known := groups[l.Signature]
		if !known {
			g = &job.LetterGroup{Group: l.GroupID(), Signature: l.Signature, Newest: l.At, JobID: l.JobID}
			groups[l.Signature], order = g, append(order, l.Signature)
		}
		g.Count++
		g.ValueCents += l.ValueCents
		g.Oldest = l.At
		return nil
	})
	if err != nil {
		return err
	}
	list := make([]job.LetterGroup, len(order))
	for i, s := range order {
		list[i] = *groups[s]
	}
	if err := tellGroups(p.app, list); err != nil {
		return err
	}
	if len(list) == 0 {
		return notFound(errors.New("no dead letters to purge"), "see: directorybolt dlq list")
	}
	p.say("would purge %s, worth %s", count(int(total(list)), "letter"), dollars(worth(list)))
	return nil
}

// each calls do for every open letter that is selected.
func (p *purge) each(ctx context.Context, do func(job.Letter) error) error {
	if len(p.IDs) > 0 {
		return p.eachNamed(ctx, do)
	}
	f, err := p.filter(ctx, p.store)
	if err != nil {
		return err
	}
	f.Limit = purgeBatch
	for {
		page, err := p.store.Letters(ctx, f)
		if err != nil {
			return err
		}
		for _, l := range page {
			if err := do(l); err != nil {
				return err
			}
			f.Before = l.ID
		}
		if len(page) < purgeBatch {
			return nil
		}
	}
}

func (p *purge) eachNamed(ctx context.Context, do func(job.Letter) error) error {
	ids, err := parseLetterIDs(p.IDs)
	if err != nil {
		return err
	}
	for _, id := range ids {
		l, err := letterNamed(ctx, p.store, id)
		if err != nil {
			return err
		}
		if !l.Open() {
			return remedied(fmt.Errorf("dead letter %s is %s: %w", id, l.Fate, job.ErrState), "see: directorybolt dlq show "+id.String())
		}
		if err := do(l); err != nil {
			return err
		}
	}
	return nil
}

// exported is a line of the file: the letter and what its job was given.
type exported struct {
	job.Letter
	Payload json.RawMessage `json:"payload,omitempty"`
}

// export writes the letters to a file that is on disk before anything changes.
func (p *purge) export(ctx context.Context) (err error) {
	p.file = p.Export
	if p.file == "" {
		if err := makeDataDir(p.dir); err != nil {
			return err
		}
		p.file = filepath.Join(p.dir, "dead-letters-"+time.Now().UTC().Format("20060102T150405.000Z")+".jsonl")
	}
	f, err := os.OpenFile(p.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return remedied(fmt.Errorf("export dead letters: %w", err), "choose another file with --export")
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	err = p.each(ctx, func(l job.Letter) error {
		line := exported{Letter: l}
		if l.JobID != (job.ID{}) {
			j, err := p.store.Job(ctx, l.JobID)
			if err != nil {
				return err
			}
			line.Payload = j.Payload
		}
		p.ids = append(p.ids, l.ID)
		if !l.Canary {
			p.value += l.ValueCents
		}
		return enc.Encode(line)
	})
	if err = errors.Join(err, w.Flush(), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(p.file))
	}
	return nil
}

// confirm has the number typed, or given.
func (p *purge) confirm() error {
	n := len(p.ids)
	if p.Yes != nil {
		if *p.Yes != n {
			return usage(fmt.Errorf("--yes %d, but %s selected; nothing was purged", *p.Yes, count(n, "letter")), "look again: directorybolt dlq list")
		}
		return nil
	}
	fmt.Fprintf(p.stderr, "type %d to purge %s: ", n, count(n, "letter"))
	line, _ := bufio.NewReader(p.stdin).ReadString('\n')
	if strings.TrimSpace(line) != strconv.Itoa(n) {
		return usage(errors.New("not confirmed; nothing was purged"), fmt.Sprintf("type the number, or add --yes %d", n))
	}
	return nil
}

// resolve purges what was exported.
func (p *purge) resolve(ctx context.Context) error {
	purged := 0
	for at := 0; at < len(p.ids); at += purgeBatch {
		done, err := p.store.ResolveLetters(ctx, p.ids[at:min(at+purgeBatch, len(p.ids))], job.FatePurged, p.by())
		if err != nil {
			return err
		}
		purged += len(done)
	}
	if err := p.tell(purged); err != nil || purged == len(p.ids) {
		return err
	}
	p.say("%s decided by others meanwhile", count(len(p.ids)-purged, "letter"))
	return exitWith(ExitPartly)
}

func (p *purge) tell(purged int) error {
	if p.JSON {
		return p.object(struct {
			Purged     int    `json:"purged"`
			ValueCents int64  `json:"value_cents"`
			Export     string `json:"export"`
		}{purged, p.value, p.file})
	}
	return p.printf("purged %s; export: %s\n", count(purged, "letter"), p.file)
}
