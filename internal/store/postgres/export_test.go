package postgres

import "context"

// What tests of this room need to see of its inside.
var (
	Statement   = statements.Get
	Hears       = hears
	Readable    = readable
	RescanAfter = rescanAfter
	RingPause   = ringPause
)

const SessionSettings = sessionSettings

// LookFromAnotherSession looks for neighbours as a watch does whose session was another
// one before.
func LookFromAnotherSession(ctx context.Context, s *Store) error {
	w, err := s.newWatch(ctx)
	if err != nil {
		return err
	}
	defer w.kept.end()
	w.kept.pid++
	_, err = w.look(ctx)
	return err
}
