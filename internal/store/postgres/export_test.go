package postgres

// What tests of this room need to see of its inside.
var (
	Statement   = statements.Get
	Hears       = hears
	Readable    = readable
	RescanAfter = rescanAfter
	RingPause   = ringPause
	IDAt        = idAt
)

const SessionSettings = sessionSettings
