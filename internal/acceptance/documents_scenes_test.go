package acceptance

import (
	"net/url"

	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

// documentScenes are those of all documents but the runbook.
var documentScenes = map[string]scene{
	"one page":     {on: "postgres", play: onePage},
	"first orders": {play: firstOrders},
}

// notYet are documents, and sections of them, whose blocks are to be marked yet.
var notYet = map[string]bool{
	"README.md": true, "docs/acceptance.md": true, "docs/queue.md": true, "docs/directories.md": true, "docs/workers.md": true,
	"docs/following.md": true, "docs/dashboard.md": true, "docs/telemetry.md": true, "docs/reliability.md": true, "docs/deployment.md": true,
	"docs/runbook.md: No 429 arrives": true, "docs/runbook.md: Customers get 429": true, "docs/runbook.md: Health is red": true,
}

// onePage is an installation with SQS, a channel for alerts and every part, and an order
// that failed for good.
func onePage(s *stack) example {
	s.calm()
	s.useSQS()
	f := newFailure(s)
	f.befalls("all")
	s.answersAt(f.processes[0])
	return example{
		stands: map[string]string{"ID": f.order.String(), "TEXT": "'tried on purpose'"},
		steps: map[string]step{
			"directorybolt jobs list --state failed        # what failed for good":                         {says: []string{"ID order failed…"}},
			"directorybolt why ID                          # why a job does not run, or ran twice":         {says: []string{"It failed for good at…"}},
			"directorybolt jobs history ID                 # its story, line by line":                      {says: []string{"…order.created…", "…job.failed…"}},
			"directorybolt dlq depth                       # dead letters that nobody decided about":       {says: []string{"open 1", "value $149.00"}},
			"directorybolt dlq list --groups               # by signature, with what they are worth":       {says: []string{"GROUP COUNT VALUE …", "… 1 $149.00 …"}},
			"directorybolt dlq redrive --all --dry-run     # try them again; first see what that would do": {says: []string{"would redrive 1 letter, worth $149.00"}},
			"directorybolt dlq purge ID --reason TEXT      # never again, on the record":                   {input: "1\n", says: []string{"…purged 1 letter; export: …"}},
			"directorybolt alerts list                     # what people were told":                        {says: []string{"slack: works, …"}},
			"directorybolt alerts test                     # do the channels work?":                        {says: []string{"slack delivered …"}},
			"directorybolt drill kill                      # kill a worker of its own and watch":           {says: []string{"detected after …, by death_watch (lock_lost)", "verdict every promise held"}},
		},
	}
}

// firstOrders is an API that nobody has used yet.
func firstOrders(s *stack) example {
	_, url := s.serve()
	return example{stands: map[string]string{"http://127.0.0.1:8080": url}}
}

// calm is for scenes: what a busy machine delays must not look like a death.
func (s *stack) calm() {
	s.set("LEASE", "20s")
	s.set("HEARTBEAT", "2s")
	s.set("RATE_LIMIT_TIMEOUT", "10s")
}

// useSQS points the installation at queues of an emulator.
func (s *stack) useSQS() *sqstest.Server {
	s.t.Helper()
	emulator := sqstest.Can(s.t, func(e sqstest.Emulator) bool { return e.Counts })[0].Start(s.t)
	queues := emulator.Pair(10)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SQS": emulator.Endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"SQS_QUEUE_URL": queues.URL, "SQS_DLQ_URL": queues.DLQ,
	} {
		s.set(name, value)
	}
	return emulator
}

// answersAt lets commands ask that process, as they ask one at the usual port. It
// returns its address.
func (s *stack) answersAt(p *process) (address string) {
	s.t.Helper()
	u, err := url.Parse(p.answersAt())
	if err != nil {
		s.t.Fatal(err)
	}
	s.set("PORT", u.Port())
	return u.Host
}
