package drill

// Scenario is what a drill breaks.
type Scenario struct {
	Name string
	What string // for people: what is done, and what must follow
	Own  bool   // only on a stack that the drill started itself, on Postgres

	strike func(d *drill) error // breaks it; the clock of the drill runs from its call
	mend   func(d *drill) error // when the job is final: what is left to undo and to look at; nil: nothing
	hang   bool                 // the canary hangs by itself
	lives  bool                 // the struck worker lives and may end the job itself: a next attempt is no must
}

// The scenarios, in the order in which people read them.
var (
	Kill = Scenario{
		Name: "kill", What: "kill -9 of a worker; another must go on",
		strike: (*drill).kill,
	}
	Freeze = Scenario{
		Name: "freeze", What: "SIGSTOP of a worker past its lease; another must go on, and the woken one change nothing",
		strike: (*drill).freeze, mend: (*drill).wake,
	}
	Hang = Scenario{
		Name: "hang", What: "a handler that gets no further in a worker that lives; the job must be taken from it",
		hang: true, strike: func(*drill) error { return nil },
	}
	DatabaseRestart = Scenario{
		Name: "db-restart", What: "a restart of the database in the middle of an order; the order must go on",
		Own: true, lives: true, strike: (*drill).restartDatabase,
	}
	Partition = Scenario{
		Name: "partition", What: "a worker that cannot reach the database any more; another must go on",
		Own: true, strike: (*drill).partition, mend: (*drill).heal,
	}
	ClockJump = Scenario{
		Name: "clock-jump", What: "clocks that jump: the database's forward and back, and a worker's as after a suspend",
		Own: true, lives: true, strike: (*drill).jumpForward, mend: (*drill).jumpOthers,
	}
)

// Scenarios lists all.
var Scenarios = []Scenario{Kill, Freeze, Hang, DatabaseRestart, Partition, ClockJump}
