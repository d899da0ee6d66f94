package api

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Health is how the installation is. Anybody learns the verdict and the status of each
// service; the rest is for staff.
type Health struct {
	Status    string                   `json:"status"` // healthy, degraded or unhealthy
	Timestamp time.Time                `json:"timestamp"`
	Uptime    float64                  `json:"uptime"` // seconds, of the process that answers
	Version   string                   `json:"version,omitempty"`
	Wrong     []string                 `json:"wrong"` // the services that are wrong by themselves, not for another's sake
	Services  map[string]ServiceHealth `json:"services"`
	Metrics   *HealthMetrics           `json:"metrics,omitempty"` // none: they are not known
}

// ServiceHealth is how one service is.
type ServiceHealth struct {
	Status    string             `json:"status"` // up, degraded or down
	Detail    string             `json:"detail,omitempty"`
	Remedy    string             `json:"remedy,omitempty"`
	Blames    string             `json:"blames,omitempty"` // the service for whose sake nothing is known of this one
	Since     time.Time          `json:"since,omitzero"`   // of the status
	CheckedAt time.Time          `json:"checked_at,omitzero"`
	LatencyMS *float64           `json:"latency_ms,omitempty"` // of the last look
	Figures   map[string]float64 `json:"figures,omitempty"`
}

// HealthMetrics are the numbers of the whole. Days are UTC.
type HealthMetrics struct {
	JobsPending        int64   `json:"jobs_pending"`
	JobsInProgress     int64   `json:"jobs_in_progress"`
	JobsCompletedToday int64   `json:"jobs_completed_today"` // up to a minute late
	JobsFailedToday    int64   `json:"jobs_failed_today"`
	JobsStale          int64   `json:"jobs_stale"`
	DLQDepth           int64   `json:"dlq_depth"`
	ValueAtRiskCents   int64   `json:"value_at_risk_cents"`
	JobsDue            int64   `json:"jobs_due"`
	OldestDueSeconds   float64 `json:"oldest_due_seconds"`
	SlotsLive          int64   `json:"slots_live"`             // jobs that live workers run at once
	DueJobsPerLiveSlot float64 `json:"due_jobs_per_live_slot"` // for autoscalers; without a slot, for one
}

// Words of a verdict and of a service, as far as the answer depends on them.
const (
	unhealthy = "unhealthy"
	healthy   = "healthy"
	serviceUp = "up"
	degraded  = "degraded"
)

// public is what anybody may know.
func (h Health) public() Health {
	h.Version, h.Metrics = "", nil
	services := make(map[string]ServiceHealth, len(h.Services))
	for name, s := range h.Services {
		services[name] = ServiceHealth{Status: s.Status}
	}
	h.Services = services
	return h
}

// health answers from what was found last: it waits for nothing.
func (s *server) health(w http.ResponseWriter, r *http.Request) error {
	if s.Health == nil {
		return refuse(http.StatusNotFound, codeNotFound, "nobody looks at the health here")
	}
	h := s.Health()
	if !slices.Contains(staff, identityOf(r.Context()).Role) {
		h = h.public()
	}
	if h.Wrong == nil {
		h.Wrong = []string{}
	}
	if h.Services == nil {
		h.Services = map[string]ServiceHealth{}
	}
	status := http.StatusOK
	if h.Status == unhealthy {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Vary", "Accept, Authorization, Cookie, X-API-Key")
	if wantsHealthJSON(r.Header.Values("Accept")) {
		return answerAs(w, status, healthJSON, h.standard())
	}
	return answerJSON(w, status, h)
}

// healthJSON is the media type of draft-inadarei-api-health-check.
const healthJSON = "application/health+json"

func wantsHealthJSON(accept []string) bool {
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil || kind != healthJSON {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
			return true
		}
	}
	return false
}

// standardHealth is the verdict in the form of the draft.
type standardHealth struct {
	Status      string                     `json:"status"` // pass, warn or fail
	ReleaseID   string                     `json:"releaseId,omitempty"`
	Description string                     `json:"description"`
	Output      string                     `json:"output,omitempty"`
	Checks      map[string][]standardCheck `json:"checks"`
}

type standardCheck struct {
	ComponentID   string    `json:"componentId"`
	ComponentType string    `json:"componentType"`
	ObservedValue *float64  `json:"observedValue,omitempty"`
	ObservedUnit  string    `json:"observedUnit,omitempty"`
	Status        string    `json:"status"`
	Time          time.Time `json:"time,omitzero"`
	Output        string    `json:"output,omitempty"`
}

func (h Health) standard() standardHealth {
	grade := func(status string) string {
		switch status {
		case healthy, serviceUp:
			return "pass"
		case degraded:
			return "warn"
		}
		return "fail"
	}
	s := standardHealth{Status: grade(h.Status), ReleaseID: h.Version, Description: "health of DirectoryBolt", Checks: map[string][]standardCheck{}}
	if len(h.Wrong) > 0 {
		s.Output = "not up: " + strings.Join(h.Wrong, ", ")
	}
	for name, service := range h.Services {
		c := standardCheck{ComponentID: name, ComponentType: "component", Status: grade(service.Status), Time: service.CheckedAt}
		key := name
		if name == "database" {
			c.ComponentType, key = "datastore", name+":responseTime"
			if service.LatencyMS != nil {
				c.ObservedValue, c.ObservedUnit = service.LatencyMS, "ms"
			}
		}
		if service.Status != serviceUp {
			c.Output = service.Detail
		}
		s.Checks[key] = []standardCheck{c}
	}
	return s
}
