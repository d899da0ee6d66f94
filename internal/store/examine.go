package store

// Grades of a [Symptom].
const (
	Good = "good"
	Weak = "weak" // it works, and something is lost by it
	Bad  = "bad"  // it will not work, or a promise cannot be kept
)

// Symptom is one thing that an examination of a database looked at.
type Symptom struct {
	Aspect string // what was looked at
	Grade  string
	Seen   string // what is there
	Remedy string // what mends it; empty when it is good
}

// Symptoms are those of one database.
type Symptoms []Symptom

// Add adds one; a remedy is kept only where there is something to mend.
func (s *Symptoms) Add(aspect, grade, seen, remedy string) {
	if grade == Good {
		remedy = ""
	}
	*s = append(*s, Symptom{aspect, grade, seen, remedy})
}

// Is adds one that is good, or of the grade given.
func (s *Symptoms) Is(good bool, aspect, grade, seen, remedy string) {
	if good {
		grade = Good
	}
	s.Add(aspect, grade, seen, remedy)
}
