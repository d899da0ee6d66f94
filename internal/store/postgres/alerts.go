package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// Update runs act in a transaction that no other Update runs beside.
func (s *Store) Update(ctx context.Context, act func(alert.Tx) error) error {
	err := again(ctx, func() error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			t := &alertTx{ctx: ctx, tx: tx}
			var err error
			if t.now, err = oneIn(t, "LockAlerts", scanMoment); err != nil {
				return err
			}
			return act(t)
		})
	})
	if err != nil {
		return fmt.Errorf("update alerts: %w", readable(err))
	}
	return nil
}

// Alert returns one alert.
func (s *Store) Alert(ctx context.Context, id job.ID) (alert.Alert, error) {
	return one(ctx, s, "read alert "+id.String(), "GetAlert", scanAlert, dbID(id))
}

// Alerts lists alerts, the latest first.
func (s *Store) Alerts(ctx context.Context, f alert.Filter) ([]alert.Alert, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultListed
	}
	return all(ctx, s, "list alerts", "ListAlerts", scanAlert, string(f.State), f.All, plain(f.Kind), dbTime(f.Since), limit)
}

// Undelivered lists what waits and what is parked.
func (s *Store) Undelivered(ctx context.Context, limit int) ([]alert.Delivery, error) {
	return all(ctx, s, "list undelivered alerts", "ListUndelivered", scanDelivery, limit)
}

// Backlogs tells what waits for each channel.
func (s *Store) Backlogs(ctx context.Context) ([]alert.Backlog, error) {
	return all(ctx, s, "list what waits for alert channels", "ListBacklogs", func(row pgx.CollectableRow) (b alert.Backlog, err error) {
		err = row.Scan(append(channelTargets(&b.Channel), &b.Waiting, (*nullTime)(&b.OldestDue), &b.Parked)...)
		return b, err
	})
}

// Pending reports whether the gate has something to do.
func (s *Store) Pending(ctx context.Context) (unread, due bool, err error) {
	type pending struct{ unread, due bool }
	p, err := one(ctx, s, "look for notices", "PendingAlerts", func(row pgx.CollectableRow) (p pending, err error) {
		err = row.Scan(&p.unread, &p.due)
		return p, err
	})
	return p.unread, p.due, err
}

// Sendable reports whether something could be sent on the channel now.
func (s *Store) Sendable(ctx context.Context, channel string) (bool, error) {
	return one(ctx, s, "look for messages to "+channel, "SendableDelivery", scanBool, channel)
}

// alertTx is the inside of one Update. It lives no longer than the call whose context
// it holds.
type alertTx struct {
	ctx context.Context
	tx  pgx.Tx
	now time.Time
}

func allIn[T any](t *alertTx, statement string, scan pgx.RowToFunc[T], args ...any) ([]T, error) {
	rows, err := t.tx.Query(t.ctx, statements.Get(statement), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

func oneIn[T any](t *alertTx, statement string, scan pgx.RowToFunc[T], args ...any) (T, error) {
	got, err := allIn(t, statement, scan, args...)
	if err == nil && len(got) == 0 {
		err = job.ErrNotFound
	}
	if err != nil {
		return *new(T), err
	}
	return got[0], nil
}

func (t *alertTx) exec(statement string, args ...any) error {
	_, err := t.tx.Exec(t.ctx, statements.Get(statement), args...)
	return err
}

func (t *alertTx) Now() time.Time { return t.now }

func (t *alertTx) Notices(limit int) ([]job.Message, error) {
	return allIn(t, "UnreadNotices", scanMessage, limit)
}

func (t *alertTx) MarkSent(ids ...job.ID) error {
	if len(ids) == 0 {
		return nil
	}
	return t.exec("MarkMessagesSent", arrayOf(ids))
}

func (t *alertTx) Tell(e job.Event, n *job.Notice) error {
	args, err := toldArgs(e, n)
	if err != nil {
		return err
	}
	return t.exec("TellNotice", args...)
}

func (t *alertTx) Latest(groups ...string) ([]alert.Alert, error) {
	return allIn(t, "LatestAlerts", scanAlert, groups)
}

func (t *alertTx) Due(limit int) ([]alert.Alert, error) {
	return allIn(t, "DueAlerts", scanAlert, t.now, limit)
}

func (t *alertTx) Alert(id job.ID) (alert.Alert, error) {
	return oneIn(t, "GetAlert", scanAlert, dbID(id))
}

func (t *alertTx) SaveAlert(a alert.Alert) error {
	sample, err := json.Marshal(a.Samples)
	if err != nil {
		return err
	}
	detail, err := json.Marshal(a.Detail)
	if err != nil {
		return err
	}
	return t.exec("SaveAlert", dbID(a.ID), a.Kind, a.Group, string(a.Severity), string(a.State), a.Canary, a.FirstAt, a.LastAt,
		a.Count, a.ValueCents, sample, a.Lane, dbTime(a.SayAt), detail)
}

func (t *alertTx) Unresolved(kind string) (int64, error) {
	return oneIn(t, "CountUnresolved", scanCount, kind)
}

func (t *alertTx) UnresolvedIn(lane string) (int, error) {
	n, err := oneIn(t, "CountUnresolvedInLane", scanCount, lane)
	return int(n), err
}

func (t *alertTx) AddDelivery(d alert.Delivery) error {
	message, err := json.Marshal(d.Message)
	if err != nil {
		return err
	}
	return t.exec("AddDelivery", dbID(d.ID), d.Channel, dbID(d.AlertID), d.Topic, d.Lane, string(d.Message.Reason), message,
		d.DueAt, d.CreatedAt, d.NextAt)
}

func (t *alertTx) DropWaiting(channel, lane string, reasons ...alert.Reason) (time.Time, error) {
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = string(r)
	}
	return oneIn(t, "DropWaiting", scanMoment, channel, lane, texts)
}

func (t *alertTx) Recent(topic string, since time.Time) (alert.Recent, error) {
	return oneIn(t, "RecentDeliveries", func(row pgx.CollectableRow) (r alert.Recent, err error) {
		err = row.Scan((*nullInt)(&r.Singles), (*nullTime)(&r.First), (*nullTime)(&r.Digest))
		return r, err
	}, topic, since)
}

func (t *alertTx) LaneWaits(lane string) (bool, error) {
	return oneIn(t, "LaneWaits", scanBool, lane)
}

func (t *alertTx) Next(channel string) (alert.Delivery, error) {
	return oneIn(t, "NextDelivery", scanDelivery, channel, t.now)
}

func (t *alertTx) Delivery(id job.ID) (alert.Delivery, error) {
	return oneIn(t, "GetDelivery", scanDelivery, dbID(id))
}

func (t *alertTx) SaveDelivery(d alert.Delivery) error {
	return t.exec("SaveDelivery", dbID(d.ID), d.NextAt, d.Attempts, d.Refusals, dbTime(d.DoubtAt), dbTime(d.SentAt),
		dbTime(d.ParkedAt), dbText(plain(d.Error)))
}

func (t *alertTx) DropParked(id job.ID, channel string) error {
	return t.exec("DropParked", dbID(id), channel)
}

func (t *alertTx) Channel(name string) (alert.Channel, error) {
	got, err := allIn(t, "GetChannel", func(row pgx.CollectableRow) (c alert.Channel, err error) {
		err = row.Scan(channelTargets(&c)...)
		return c, err
	}, name)
	if err != nil || len(got) == 0 {
		return alert.Channel{Name: name}, err
	}
	return got[0], nil
}

func (t *alertTx) SaveChannel(c alert.Channel) error {
	return t.exec("SaveChannel", c.Name, c.Target, dbTime(c.NextAt), c.Failures, dbTime(c.FailingSince), dbTime(c.HeldAt),
		dbText(plain(c.Error)), dbTime(c.GoodAt), c.Told)
}

func scanAlert(row pgx.CollectableRow) (a alert.Alert, err error) {
	var sample, detail []byte
	err = row.Scan((*nullID)(&a.ID), &a.Kind, &a.Group, (*nullText)(&a.Severity), (*nullText)(&a.State), &a.Canary,
		(*nullTime)(&a.FirstAt), (*nullTime)(&a.LastAt), &a.Count, &a.ValueCents, &sample, &a.Lane, (*nullTime)(&a.SayAt), &detail)
	if err == nil {
		err = json.Unmarshal(sample, &a.Samples)
	}
	if err == nil {
		err = json.Unmarshal(detail, &a.Detail)
	}
	return a, err
}

func scanDelivery(row pgx.CollectableRow) (d alert.Delivery, err error) {
	var message []byte
	err = row.Scan((*nullID)(&d.ID), &d.Channel, (*nullID)(&d.AlertID), &d.Topic, &d.Lane, &message, (*nullTime)(&d.DueAt),
		(*nullTime)(&d.CreatedAt), (*nullTime)(&d.NextAt), (*nullInt)(&d.Attempts), (*nullInt)(&d.Refusals), (*nullTime)(&d.DoubtAt),
		(*nullTime)(&d.SentAt), (*nullTime)(&d.ParkedAt), (*nullText)(&d.Error))
	if err == nil {
		err = json.Unmarshal(message, &d.Message)
	}
	return d, err
}

func channelTargets(c *alert.Channel) []any {
	return []any{
		&c.Name, &c.Target, (*nullTime)(&c.NextAt), (*nullInt)(&c.Failures), (*nullTime)(&c.FailingSince), (*nullTime)(&c.HeldAt),
		(*nullText)(&c.Error), (*nullTime)(&c.GoodAt), &c.Told,
	}
}

func scanMoment(row pgx.CollectableRow) (at time.Time, err error) {
	err = row.Scan((*nullTime)(&at))
	return at, err
}

func scanBool(row pgx.CollectableRow) (b bool, err error) {
	err = row.Scan(&b)
	return b, err
}

func scanCount(row pgx.CollectableRow) (n int64, err error) {
	err = row.Scan(&n)
	return n, err
}
