package alert

import (
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
)

// commands are what to type to look at the trouble and to end it.
func (m Message) commands() []string {
	if m.Reason == Over || m.Reason == Acknowledged || m.Reason == Test {
		return nil
	}
	list := m.ofKind()
	if ack := m.ack(); ack != "" {
		list = append(list, ack)
	}
	return list
}

// ack takes on what the message shows.
func (m Message) ack() string {
	ids := []string{m.AlertID.String()}
	if m.Digest() {
		ids = ids[:0]
		for _, g := range m.Groups {
			if g.AlertID != (job.ID{}) {
				ids = append(ids, g.AlertID.String())
			}
		}
	}
	if len(ids) == 0 { // a digest of an earlier version
		return ""
	}
	return "directorybolt alerts ack " + strings.Join(ids, " ")
}

func (m Message) ofKind() []string {
	example := ""
	if len(m.Groups) > 0 && len(m.Groups[0].Jobs) > 0 {
		example = m.Groups[0].Jobs[0].String()
	}
	withJob := func(command string, otherwise ...string) []string {
		if example == "" {
			return otherwise
		}
		return append([]string{command + " " + example}, otherwise...)
	}
	switch m.Kind {
	case job.AlertDeadLetters:
		return m.ofLetters()
	case job.AlertLettersExpiring:
		return []string{"directorybolt dlq list", "directorybolt dlq redrive --all --dry-run"}
	case job.AlertStaleRecovered:
		return withJob("directorybolt jobs history", "directorybolt stale list")
	case job.AlertMonitorSilent:
		return m.ofMonitor()
	case job.AlertStorm:
		return []string{"directorybolt stale list"}
	case job.AlertOrphans:
		return withJob("directorybolt why", "directorybolt stale list")
	case job.AlertHealth:
		return m.ofHealth()
	case job.AlertLimiter:
		return []string{"directorybolt health"}
	case job.AlertBooks:
		return withJob("directorybolt jobs history", "directorybolt audit")
	case job.AlertQueueBlind:
		return []string{"directorybolt queue check"}
	case job.AlertShortfall:
		return withJob("directorybolt jobs results")
	case job.AlertChannelDown:
		return []string{"directorybolt alerts list", "directorybolt alerts test"}
	}
	return nil
}

// ofMonitor names what says who watches.
func (m Message) ofMonitor() []string {
	if len(m.Groups) > 0 && m.Groups[0].Signature == job.MonitorStale {
		return []string{"directorybolt stale list"}
	}
	return []string{"directorybolt dlq depth", "directorybolt stale list"}
}

// ofHealth adds to the whole picture what mends a service.
func (m Message) ofHealth() []string {
	list := []string{"directorybolt health"}
	if m.Digest() || len(m.Groups) == 0 {
		return list
	}
	switch m.Groups[0].Signature {
	case "migrations":
		return append(list, "directorybolt migrate up")
	case "queue":
		return append(list, "directorybolt queue check")
	}
	return list
}

// ofLetters names the group by the few characters that stand for its signature: no
// shell can misread them, and no service has to show more.
func (m Message) ofLetters() []string {
	const list, redrive = "directorybolt dlq list", "directorybolt dlq redrive"
	switch {
	case m.Digest() && len(m.Groups) > 0 && m.Groups[0].Letters != "":
		commands := []string{list + " --groups"}
		for _, g := range m.Groups {
			if g.Letters != "" {
				commands = append(commands, redrive+" --signature "+g.Letters+" --canary")
			}
		}
		return commands
	case m.Digest() || len(m.Groups) == 0 || m.Groups[0].Signature == "":
		return []string{list, redrive + " --all --dry-run"}
	}
	group := job.GroupID(m.Groups[0].Signature)
	return []string{list + " --signature " + group, redrive + " --signature " + group + " --canary"}
}
