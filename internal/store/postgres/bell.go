package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	bellChannel = "directorybolt_jobs"
	// ringPause: after a notification the next waits this long, and then stands for
	// all that happened meanwhile. Commits that notify wait for one another, so each
	// enqueue must not be one.
	ringPause = 5 * time.Millisecond
	// listenCheck: a listener that heard nothing for so long asks whether its
	// connection still lives.
	listenCheck = 30 * time.Second
	// The listener's wait before it connects again, doubling.
	reconnectFirst = 50 * time.Millisecond
	reconnectCap   = 5 * time.Second
)

// bell wakes idle workers: those of this handle at once, those of other processes
// by NOTIFY. It is rung after the change is committed, by us and not by a trigger,
// so that a thousand changes are one notification. The first enqueue after a pause
// carries it in its own statement: on an idle system that saves half of the way.
type bell struct {
	store *Store
	name  string // tells our own notifications from others'

	mu          sync.Mutex
	subscribers map[chan struct{}]bool
	listening   bool
	closed      bool
	notified    time.Time // when the last turn to notify others was taken

	rung   chan struct{} // holds a token when others are to be notified
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newBell(s *Store) *bell {
	b := &bell{store: s, name: uuid.NewString(), subscribers: map[chan struct{}]bool{}, rung: make(chan struct{}, 1)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.done.Go(b.notifyOthers)
	return b
}

// Wake returns a channel that receives when jobs may have become claimable.
// Behind a transaction pooler without a direct URL it hears this process only.
func (s *Store) Wake(ctx context.Context) <-chan struct{} { return s.bell.subscribe(ctx) }

func (b *bell) subscribe(ctx context.Context) <-chan struct{} {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return c
	}
	b.subscribers[c] = true
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subscribers, c)
	})
	if !b.listening && (b.store.mode == Session || b.store.config.DirectURL != "") {
		b.listening = true
		b.done.Go(b.listen)
	}
	return c
}

// ring wakes everybody. It never waits.
func (b *bell) ring() {
	b.wakeOurs()
	select {
	case b.rung <- struct{}{}:
	default: // the notification to come stands for this one too
	}
}

// carry returns what a statement is to notify others with, or nothing while they were
// notified a moment ago: then its caller rings when it is committed.
func (b *bell) carry() string {
	if b.turn() > 0 {
		return ""
	}
	return b.name
}

// turn takes the turn to notify others, or says how long it is until the next.
func (b *bell) turn() (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait = ringPause - time.Since(b.notified); wait <= 0 {
		b.notified = time.Now()
	}
	return wait
}

func (b *bell) wakeOurs() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.subscribers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// notifyOthers sends the first notification at once and then at most one each
// ringPause, the last of them after the last ring. An enqueue that takes the turn
// before it commits later than what rang, and tells of that too.
func (b *bell) notifyOthers() {
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-b.rung:
		}
		for wait := b.turn(); wait > 0; wait = b.turn() {
			select {
			case <-b.ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		if err := b.notify(); err != nil && b.ctx.Err() == nil {
			b.store.config.Log.DebugContext(b.ctx, "other processes could not be woken, they poll", "error", err.Error())
		}
	}
}

// notify is one round trip. Nothing is lost with a notification, so its commit does
// not wait for the disk.
func (b *bell) notify() error {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	return b.store.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		_, err := c.Conn().PgConn().Exec(ctx, `BEGIN; SET LOCAL synchronous_commit = off; NOTIFY `+bellChannel+`, '`+b.name+`'; COMMIT`).ReadAll()
		return err
	})
}

// listen hears other processes. It connects again by itself, and then wakes
// everybody, for it cannot know what it missed.
func (b *bell) listen() {
	pause := reconnectFirst
	for b.ctx.Err() == nil {
		err := b.listenOnce(func() { pause = reconnectFirst })
		if b.ctx.Err() != nil {
			return
		}
		b.store.config.Log.WarnContext(b.ctx, "wake-ups from other processes are lost, connecting again", "error", readable(err).Error())
		select {
		case <-b.ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, reconnectCap)
	}
}

func (b *bell) listenOnce(connected func()) error {
	conn, err := pgx.ConnectConfig(b.ctx, b.store.direct)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(b.ctx, "LISTEN "+bellChannel); err != nil {
		return err
	}
	connected()
	b.wakeOurs()
	for {
		n, err := b.await(conn)
		if err != nil {
			return err
		}
		if n != nil && n.Payload != b.name {
			b.wakeOurs()
		}
	}
}

// await returns the next notification, or nil when there was none for a while and
// the connection is proved to live.
func (b *bell) await(conn *pgx.Conn) (*pgconn.Notification, error) {
	ctx, cancel := context.WithTimeout(b.ctx, listenCheck)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	if err == nil || b.ctx.Err() != nil || !pgconn.Timeout(err) {
		return n, err
	}
	return nil, conn.Ping(b.ctx)
}

func (b *bell) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.done.Wait()
}
