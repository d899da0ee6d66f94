package alert

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Store keeps alerts, deliveries and what is known of channels. All methods may be
// called concurrently, from any number of processes.
type Store interface {
	Reader

	// Update runs act in a transaction: everything it writes is committed, or nothing
	// when it or the commit fails. Of all Updates in all processes one runs at a time,
	// so that what act has read still holds when it writes. act may be run again after
	// its transaction was undone; it must not wait for anything else.
	Update(ctx context.Context, act func(Tx) error) error
}

// Reader answers questions about alerts.
type Reader interface {
	// Alert returns one; ErrNotFound when there is none.
	Alert(ctx context.Context, id job.ID) (Alert, error)
	// Alerts lists alerts, the latest first.
	Alerts(ctx context.Context, f Filter) ([]Alert, error)
	// Undelivered lists what waits and what is parked, in the order it is sent.
	Undelivered(ctx context.Context, limit int) ([]Delivery, error)
	// Backlogs has an entry for each channel that was ever used.
	Backlogs(ctx context.Context) ([]Backlog, error)
	// Pending reports whether there are notices that nobody has read, and alerts whose
	// SayAt has come.
	Pending(ctx context.Context) (unread, due bool, err error)
	// Sendable reports whether something could be sent on the channel now.
	Sendable(ctx context.Context, channel string) (bool, error)
	// AlertsDelivered tells how punctual the messages of [from, to) were; one is late that
	// was accepted, or still is not, so long after it was due.
	AlertsDelivered(ctx context.Context, from, to time.Time, late time.Duration) (Punctuality, error)
}

// Punctuality is how well people were told.
type Punctuality struct {
	Delivered int64 `json:"delivered"`
	Late      int64 `json:"late"`    // of these
	Waiting   int64 `json:"waiting"` // late, and not delivered yet
}

// Filter selects alerts.
type Filter struct {
	State State     // empty: all that are not resolved
	All   bool      // resolved ones too
	Kind  string    // empty: any
	Since time.Time // last seen since; zero: any
	Limit int       // zero means 50
}

// Recent is what was said of a topic in a while.
type Recent struct {
	Singles int       // messages about one alert, for the channel that got most of them
	First   time.Time // of the latest digest of first sights; zero: none
	Digest  time.Time // of the latest other digest; zero: none
}

// Tx is the inside of an Update. Rows that are not there are ErrNotFound.
type Tx interface {
	// Now is the store's clock, the same in all of the transaction.
	Now() time.Time

	// Notices reads unsent messages of kind alert, the oldest first.
	Notices(limit int) ([]job.Message, error)
	MarkSent(ids ...job.ID) error
	// Tell commits an event, and a notice with it unless that is nil, as [job.Teller] does.
	Tell(e job.Event, n *job.Notice) error

	// Latest returns the latest alert of each of these groups, resolved ones too.
	Latest(groups ...string) ([]Alert, error)
	// Due returns alerts whose SayAt has come.
	Due(limit int) ([]Alert, error)
	Alert(id job.ID) (Alert, error)
	SaveAlert(a Alert) error
	// Unresolved adds up the counts of alerts of the kind that are not resolved,
	// canaries excluded.
	Unresolved(kind string) (int64, error)
	// UnresolvedIn counts alerts of the lane that are not resolved.
	UnresolvedIn(lane string) (int, error)

	// AddDelivery puts d behind all others.
	AddDelivery(d Delivery) error
	// DropWaiting deletes the deliveries with one of these reasons that wait in the
	// channel's lane and were never tried, and returns when the first was due; zero:
	// there was none.
	DropWaiting(channel, lane string, reasons ...Reason) (time.Time, error)
	// Recent tells what was said of a topic since a moment.
	Recent(topic string, since time.Time) (Recent, error)
	// LaneWaits reports whether something in the lane is not sent yet.
	LaneWaits(lane string) (bool, error)
	// Next returns the first delivery of the channel that may be tried now: its NextAt
	// has come, and none before it in its lane is unsent.
	Next(channel string) (Delivery, error)
	Delivery(id job.ID) (Delivery, error)
	SaveDelivery(d Delivery) error
	// DropParked deletes what is parked of an alert, or of a channel unless that is
	// empty: a person has seen it.
	DropParked(alert job.ID, channel string) error

	// Channel returns what is remembered; of an unknown one, its name alone.
	Channel(name string) (Channel, error)
	SaveChannel(c Channel) error
}
