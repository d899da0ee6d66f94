package health

import (
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Status is how a service is.
type Status string

// Statuses of a service, the best first.
const (
	Up       Status = "up"
	Degraded Status = "degraded"
	Down     Status = "down"
)

// Statuses is every status of a service.
var Statuses = []Status{Up, Degraded, Down}

// Overall is how the installation is.
type Overall string

// Verdicts.
const (
	Healthy   Overall = "healthy"   // every service is up
	Troubled  Overall = "degraded"  // something is not, and orders are performed
	Unhealthy Overall = "unhealthy" // a service is down that orders need
)

// Finding is what a check came to. The zero Finding is not a verdict: say Up.
type Finding struct {
	Status Status
	Detail string // one sentence for people, no secret; empty when there is nothing to say
	Remedy string // what to do about it

	// Figures are numbers that belong to it, by name; units are in the names.
	Figures map[string]float64
	// Told: an alert of another kind speaks of it.
	Told bool
}

// Worse turns f into what is worse of f and the given.
func (f *Finding) Worse(s Status, detail, remedy string) {
	if slices.Index(Statuses, s) <= slices.Index(Statuses, f.Status) {
		return
	}
	f.Status, f.Detail, f.Remedy = s, detail, remedy
}

// Service is how a service is, and since when.
type Service struct {
	Name string
	Finding
	Untold  bool          // nobody else has people told of it
	Blames  string        // the service for whose sake nothing is known of this one; empty: none
	Since   time.Time     // of the status
	Checked time.Time     // of the last answer, good or not
	Latency time.Duration // of the last look
}

// Figures are the numbers of the whole.
type Figures struct {
	job.Load
	CompletedToday   int64 // up to a minute late
	Stale            int64 // running jobs that recovery takes, or is about to
	DLQDepth         int64
	ValueAtRiskCents int64   // as the books have it: stuck, failed and undecided, or due for long
	WorkersLive      int     // that have a lease, those of drills left out
	SlotsLive        int64   // jobs that they run at once
	DuePerSlot       float64 // due jobs for each live slot; without any, for one
}

// Report is the verdict.
type Report struct {
	Status   Overall
	At       time.Time
	Uptime   time.Duration // of this process
	Wrong    []string      // services that are not up by themselves, in their order
	Services []Service
	Figures  *Figures // nil: not known
}

// Service returns the service of that name; a name that there is not is down.
func (r Report) Service(name string) Service {
	for _, s := range r.Services {
		if s.Name == name {
			return s
		}
	}
	return Service{Name: name, Finding: Finding{Status: Down, Detail: "nobody looks at it"}}
}

// Blind is the verdict of somebody who does not reach the database.
func Blind(cause error, remedy string) Report {
	now := time.Now()
	r := Report{Status: Unhealthy, At: now.UTC(), Wrong: []string{Database}}
	for _, c := range Checks(Installation{}) {
		s := Service{Name: c.Name, Finding: Finding{Status: Down, Detail: notKnown(Database)}, Blames: Database, Since: now}
		if c.Name == Database {
			s.Finding, s.Blames = Finding{Status: Down, Detail: cause.Error(), Remedy: remedy}, ""
		}
		r.Services = append(r.Services, s)
	}
	return r
}

func notKnown(blames string) string { return "not known while there is trouble with the " + blames }

// verdict is the overall status of services.
func verdict(services []Service, needed func(name string) bool) (o Overall, wrong []string) {
	o = Healthy
	for _, s := range services {
		if s.Status == Up {
			continue
		}
		if s.Blames == "" {
			wrong = append(wrong, s.Name)
		}
		if s.Status == Down && needed(s.Name) {
			o = Unhealthy
		} else if o == Healthy {
			o = Troubled
		}
	}
	return o, wrong
}
