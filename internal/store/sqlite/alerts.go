package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// Update implements [alert.Store]. A SQLite file has one writer at a time.
func (s *Store) Update(ctx context.Context, act func(alert.Tx) error) error {
	if err := s.write(ctx, func(t *tx) error { return act(alertTx{t}) }); err != nil {
		return fmt.Errorf("update alerts: %w", err)
	}
	return nil
}

// Alert implements [alert.Reader].
func (s *Store) Alert(ctx context.Context, id job.ID) (alert.Alert, error) {
	a, err := one(s.read(ctx), scanAlert, q.GetAlert, id.String())
	if err != nil {
		return alert.Alert{}, fmt.Errorf("read alert %s: %w", id, s.explain(err))
	}
	return a, nil
}

// Alerts implements [alert.Reader].
func (s *Store) Alerts(ctx context.Context, f alert.Filter) ([]alert.Alert, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	list, err := all(s.read(ctx), scanAlert, q.ListAlerts, string(f.State), f.All, clean(f.Kind), microsOrNull(f.Since), f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", s.explain(err))
	}
	return list, nil
}

// Undelivered implements [alert.Reader].
func (s *Store) Undelivered(ctx context.Context, limit int) ([]alert.Delivery, error) {
	list, err := all(s.read(ctx), scanDelivery, q.ListUndelivered, limit)
	if err != nil {
		return nil, fmt.Errorf("list undelivered alerts: %w", s.explain(err))
	}
	return list, nil
}

// Backlogs implements [alert.Reader].
func (s *Store) Backlogs(ctx context.Context) ([]alert.Backlog, error) {
	list, err := all(s.read(ctx), func(r row) (b alert.Backlog, err error) {
		err = r.Scan(append(channelFields(&b.Channel), &b.Waiting, moment{&b.OldestDue}, &b.Parked)...)
		return b, err
	}, q.ListBacklogs)
	if err != nil {
		return nil, fmt.Errorf("list what waits for alert channels: %w", s.explain(err))
	}
	return list, nil
}

// Pending implements [alert.Reader].
func (s *Store) Pending(ctx context.Context) (unread, due bool, err error) {
	_, err = one(s.read(ctx), func(r row) (none struct{}, err error) {
		return none, r.Scan(&unread, &due)
	}, q.PendingAlerts, s.clock().UnixMicro())
	if err != nil {
		return false, false, fmt.Errorf("look for notices: %w", s.explain(err))
	}
	return unread, due, nil
}

// Sendable implements [alert.Reader].
func (s *Store) Sendable(ctx context.Context, channel string) (bool, error) {
	sendable, err := one(s.read(ctx), scanBool, q.SendableDelivery, channel, s.clock().UnixMicro())
	if err != nil {
		return false, fmt.Errorf("look for messages to %s: %w", channel, s.explain(err))
	}
	return sendable, nil
}

// alertTx is the inside of one Update.
type alertTx struct{ *tx }

func (t alertTx) Now() time.Time { return fromMicros(t.now) }

func (t alertTx) change(text string, args ...any) error {
	_, err := t.exec(text, args...)
	return err
}

func (t alertTx) Notices(limit int) ([]job.Message, error) {
	return all(t, scanMessage, q.UnreadNotices, limit)
}

func (t alertTx) MarkSent(ids ...job.ID) error {
	return t.change(q.MarkMessagesSent, t.now, list(ids))
}

func (t alertTx) Tell(e job.Event, n *job.Notice) error {
	e, notice, err := store.Told(e, n)
	if err != nil {
		return fmt.Errorf("tell of %s: %w", e.Type, err)
	}
	return t.tell(e, n, notice)
}

func (t alertTx) Latest(groups ...string) ([]alert.Alert, error) {
	slices.Sort(groups)
	return all(t, scanAlert, q.LatestAlerts, list(slices.Compact(groups)))
}

func (t alertTx) Due(limit int) ([]alert.Alert, error) {
	return all(t, scanAlert, q.DueAlerts, t.now, limit)
}

func (t alertTx) Alert(id job.ID) (alert.Alert, error) {
	return one(t, scanAlert, q.GetAlert, id.String())
}

func (t alertTx) SaveAlert(a alert.Alert) error {
	return t.change(q.SaveAlert, a.ID.String(), a.Kind, a.Group, string(a.Severity), string(a.State), a.Canary,
		a.FirstAt.UnixMicro(), a.LastAt.UnixMicro(), a.Count, a.ValueCents, list(a.Samples), a.Lane, microsOrNull(a.SayAt),
		list(a.Detail))
}

func (t alertTx) Unresolved(kind string) (int64, error) {
	return one(t, scanCount, q.CountUnresolved, kind)
}

func (t alertTx) UnresolvedIn(lane string) (int, error) {
	n, err := one(t, scanCount, q.CountUnresolvedInLane, lane)
	return int(n), err
}

func (t alertTx) AddDelivery(d alert.Delivery) error {
	return t.change(q.AddDelivery, d.ID.String(), d.Channel, idOrNull(d.AlertID), d.Topic, d.Lane, string(d.Message.Reason),
		list(d.Message), d.DueAt.UnixMicro(), d.CreatedAt.UnixMicro(), d.NextAt.UnixMicro())
}

func (t alertTx) DropWaiting(channel, lane string, reasons ...alert.Reason) (first time.Time, err error) {
	dropped, err := all(t, scanMoment, q.DropWaiting, channel, lane, list(reasons))
	for _, due := range dropped {
		if first.IsZero() || due.Before(first) {
			first = due
		}
	}
	return first, err
}

func (t alertTx) Recent(topic string, since time.Time) (alert.Recent, error) {
	return one(t, func(r row) (recent alert.Recent, err error) {
		err = r.Scan(&recent.Singles, moment{&recent.First}, moment{&recent.Digest})
		return recent, err
	}, q.RecentDeliveries, topic, since.UnixMicro())
}

func (t alertTx) LaneWaits(lane string) (bool, error) { return one(t, scanBool, q.LaneWaits, lane) }

func (t alertTx) Next(channel string) (alert.Delivery, error) {
	return one(t, scanDelivery, q.NextDelivery, channel, t.now)
}

func (t alertTx) Delivery(id job.ID) (alert.Delivery, error) {
	return one(t, scanDelivery, q.GetDelivery, id.String())
}

func (t alertTx) SaveDelivery(d alert.Delivery) error {
	return t.change(q.SaveDelivery, d.ID.String(), d.NextAt.UnixMicro(), d.Attempts, d.Refusals, microsOrNull(d.DoubtAt),
		microsOrNull(d.SentAt), microsOrNull(d.ParkedAt), orNull(clean(d.Error)))
}

func (t alertTx) DropParked(id job.ID, channel string) error {
	return t.change(q.DropParked, id.String(), channel)
}

func (t alertTx) Channel(name string) (alert.Channel, error) {
	got, err := all(t, func(r row) (c alert.Channel, err error) {
		err = r.Scan(channelFields(&c)...)
		return c, err
	}, q.GetChannel, name)
	if err != nil || len(got) == 0 {
		return alert.Channel{Name: name}, err
	}
	return got[0], nil
}

func (t alertTx) SaveChannel(c alert.Channel) error {
	return t.change(q.SaveChannel, c.Name, c.Target, microsOrNull(c.NextAt), c.Failures, microsOrNull(c.FailingSince),
		microsOrNull(c.HeldAt), orNull(clean(c.Error)), microsOrNull(c.GoodAt), c.Told)
}

func scanAlert(r row) (a alert.Alert, err error) {
	var sample, detail json.RawMessage
	err = r.Scan(&a.ID, &a.Kind, &a.Group, &a.Severity, &a.State, &a.Canary, moment{&a.FirstAt}, moment{&a.LastAt},
		&a.Count, &a.ValueCents, document{&sample}, &a.Lane, moment{&a.SayAt}, document{&detail})
	if err == nil {
		err = json.Unmarshal(sample, &a.Samples)
	}
	if err == nil {
		err = json.Unmarshal(detail, &a.Detail)
	}
	return a, err
}

func scanDelivery(r row) (d alert.Delivery, err error) {
	var message json.RawMessage
	err = r.Scan(&d.ID, &d.Channel, &d.AlertID, &d.Topic, &d.Lane, document{&message}, moment{&d.DueAt}, moment{&d.CreatedAt},
		moment{&d.NextAt}, &d.Attempts, &d.Refusals, moment{&d.DoubtAt}, moment{&d.SentAt}, moment{&d.ParkedAt},
		maybe[string]{&d.Error})
	if err == nil {
		err = json.Unmarshal(message, &d.Message)
	}
	return d, err
}

func channelFields(c *alert.Channel) []any {
	return []any{
		&c.Name, &c.Target, moment{&c.NextAt}, &c.Failures, moment{&c.FailingSince}, moment{&c.HeldAt},
		maybe[string]{&c.Error}, moment{&c.GoodAt}, &c.Told,
	}
}

func scanMoment(r row) (at time.Time, err error) {
	err = r.Scan(moment{&at})
	return at, err
}
