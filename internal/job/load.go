package job

import "time"

// Load is how much work there is at a moment. Canaries are left out, but for Due and
// OldestDue: they take slots like any other job.
type Load struct {
	At          time.Time `json:"at"` // on the store's clock
	Pending     int64     `json:"pending"`
	InProgress  int64     `json:"in_progress"`
	Due         int64     `json:"due"` // pending, not paused, and their time has come
	OldestDue   time.Time `json:"oldest_due,omitzero"`
	FailedToday int64     `json:"failed_today"` // deaths since the day began, UTC; also of what was redriven since
}

// Day is when the day of At began, UTC.
func (l Load) Day() time.Time { return l.At.UTC().Truncate(24 * time.Hour) }
