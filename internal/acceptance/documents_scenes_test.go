package acceptance

import (
	"context"
	"database/sql"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/drill"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// documentScenes are those of all documents, but for most of the runbook.
var documentScenes = map[string]scene{
	"a clone":                        {play: aClone},
	"an order":                       {play: anOrder},
	"an own catalog":                 {play: anOwnCatalog},
	"an empty Postgres":              {on: "postgres", play: anEmptyPostgres},
	"an API":                         {play: anAPI},
	"first orders":                   {play: firstOrders},
	"one page":                       {on: "postgres", play: onePage},
	"a deploy":                       {play: aDeploy},
	"SQS":                            {on: "postgres", play: emptySQS},
	"a queue that gives up too soon": {on: "postgres", play: aHastyQueue},
	"a dead letter":                  {play: aDeadLetter},
	"a fault in a catalog":           {play: aFaultyCatalog},
	"a worker in Python":             {play: aWorkerInPython},
	"events":                         {play: events},
	"pages":                          {play: anOwnCatalog},
	"a drill":                        {play: aDrill},
	"logs":                           {play: logs},
	"a process that is asked":        {play: anAPI},
	"one dead letter":                {play: oneDeadLetter},
	"the tree":                       {play: theTree},
	"a limit":                        {play: aLimit},
	"a limit without its store":      {play: aLimitWithoutItsStore},
	"a limit that is reached":        {on: "postgres", play: aLimitReached},
	"no worker":                      {play: noWorker},
	"no database":                    {play: noDatabase},
	"containers":                     {on: "postgres", play: containers},
}

// inTree makes the installation's directory look like a clone with what was built.
func (s *stack) inTree() {
	s.t.Helper()
	here, err := filepath.Abs(repository)
	if err != nil {
		s.t.Fatal(err)
	}
	must(s.t, os.MkdirAll(filepath.Join(s.dir, "bin"), 0o700))
	must(s.t, os.Symlink(binary, filepath.Join(s.dir, "bin", "directorybolt")))
	must(s.t, os.Symlink(filepath.Join(here, "examples"), filepath.Join(s.dir, "examples")))
}

// put writes a file into the installation's directory.
func (s *stack) put(name string, data []byte) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.dir, name), data, 0o600))
}

// sandboxed is a catalog of directories on this machine.
func (s *stack) sandboxed(scale float64) []byte {
	s.t.Helper()
	catalog, err := newSandbox(s.t, sandbox.Config{Scale: scale}).CatalogYAML()
	if err != nil {
		s.t.Fatal(err)
	}
	return catalog
}

var anID = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// notes remembers the first id that a command printed, as what the word stands for.
func notes(stands map[string]string, word string) func(string) {
	return func(printed string) { stands[word] = anID.FindString(printed) }
}

// aClone has the repository to clone.
func aClone(s *stack) example {
	here, err := filepath.Abs(repository)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS"} {
		value, err := exec.Command("go", "env", name).Output()
		must(s.t, err)
		s.set(name, strings.TrimSpace(string(value)))
	}
	return example{stands: map[string]string{"https://github.com/directorybolt/directorybolt": "-q " + here + " directorybolt"}}
}

// anOrder is a fresh clone that was built.
func anOrder(s *stack) example {
	s.inTree()
	s.set("BACKOFF_CAP", "15m")
	stands := map[string]string{"directorybolt sandbox": "directorybolt sandbox --base-port 0 --scale 0.2"}
	return example{stands: stands, steps: map[string]step{
		"bin/directorybolt submit --profile examples/profile.yaml --package starter --wait": {exit: 4, then: notes(stands, "ID")},
		"bin/directorybolt jobs list":                                                           {says: []string{"ID order completed…"}},
		"bin/directorybolt jobs history ID      # what happened, line by line":                  {says: []string{"…order.created…", "…job.completed…"}},
		"bin/directorybolt why ID               # why it is not running, or ran more than once": {says: []string{"It was completed at…"}},
	}}
}

// anOwnCatalog is a clone with a catalog and a profile of the reader's own.
func anOwnCatalog(s *stack) example {
	s.inTree()
	s.put("catalog.yaml", s.sandboxed(0.2))
	must(s.t, os.Symlink(filepath.Base(s.profile(1)), filepath.Join(s.dir, "bakery.yaml")))
	stands := map[string]string{}
	return example{stands: stands, steps: map[string]step{
		"bin/directorybolt directories list --catalog catalog.yaml --package starter --country US":             {says: []string{"…plain-01…"}},
		"bin/directorybolt submit --profile bakery.yaml --package starter --customer owner@example.com --wait": {exit: 4, then: notes(stands, "ID")},
		"bin/directorybolt jobs results ID --state needs_action":                                               {says: []string{"…captcha…"}},
		"bin/directorybolt jobs results ID --state uncertain":                                                  {says: []string{"…cut-without-lookup-…"}},
	}}
}

// anEmptyPostgres is a clone, and a database of the reader's.
func anEmptyPostgres(s *stack) example {
	s.inTree()
	s.put("catalog.yaml", s.sandboxed(1))
	return example{stands: map[string]string{"postgres://user:password@host:5432/database": "'" + s.url + "'"}}
}

// anAPI is a clone whose API runs, and an order to send.
func anAPI(s *stack) example {
	s.inTree()
	p, _ := s.serve()
	s.put("order.json", s.orderBody(1))
	return example{stands: map[string]string{"localhost:8080": s.answersAt(p)}}
}

// aDeploy is an installation whose every part runs.
func aDeploy(s *stack) example {
	w := newWard(s.t, s, [2]string{"CHECK_INTERVAL_SECONDS", "5"}, [2]string{"DLQ_CHECK_INTERVAL_SECONDS", "5"})
	s.set("CATALOG", w.catalog)
	return example{
		stands: map[string]string{"https://api.example.com": w.url, "24h": "1s"},
		steps: map[string]step{
			"directorybolt migrate status": {says: []string{"1 jobs …"}},
			"directorybolt health --direct   # who is not up, since when, and what to do":         {says: []string{"SERVICE …", "database up …", "healthy…"}},
			"directorybolt verify --url https://api.example.com --report verify.json":             {says: []string{"…migrations…", "…books…"}},
			"directorybolt verify --url https://api.example.com --watch 24h --report watch.jsonl": {},
		},
	}
}

// emptySQS is an account without queues.
func emptySQS(s *stack) example {
	s.emulator(func(e sqstest.Emulator) bool { return e.Policies })
	return example{}
}

// aHastyQueue is a queue that takes a message for poison after three crashes.
func aHastyQueue(s *stack) example {
	server := s.emulator(func(e sqstest.Emulator) bool { return e.Policies })
	queues := server.Pair(3)
	s.set("SQS_QUEUE_URL", queues.URL)
	s.set("SQS_DLQ_URL", queues.DLQ)
	return example{
		stands: map[string]string{"shop": queues.URL[strings.LastIndex(queues.URL, "/")+1:]},
		steps:  map[string]step{"directorybolt queue check": {exit: 5}},
	}
}

// aDeadLetter is a job that failed for good.
func aDeadLetter(s *stack) example {
	id := s.bury(1)[0]
	return example{
		stands: map[string]string{"ID": id.String()},
		steps:  map[string]step{"directorybolt dlq redrive ID": {says: []string{"redriven ID"}}},
	}
}

// aFaultyCatalog is the example of the document without its rule of success.
func aFaultyCatalog(s *stack) example {
	text, err := os.ReadFile(filepath.Join(repository, "docs/directories.md"))
	if err != nil {
		s.t.Fatal(err)
	}
	_, catalog, _ := strings.Cut(string(text), "```yaml\n")
	catalog, _, _ = strings.Cut(catalog, "```\n")
	before, rule, found := strings.Cut(catalog, "    success:\n")
	if _, after, ok := strings.Cut(rule, "    rejected:\n"); found && ok {
		catalog = before + "    rejected:\n" + after
	}
	catalog = strings.Repeat("# others\n", 38) + strings.ReplaceAll(catalog, "harbour-index", "acme")
	s.put("catalog.yaml", []byte(catalog))
	return example{
		stands: map[string]string{"/srv/directorybolt": s.dir},
		steps:  map[string]step{"directorybolt directories lint catalog.yaml": {exit: 1}},
	}
}

// aWorkerInPython is an API, and a clone.
func aWorkerInPython(s *stack) example {
	s.inTree()
	s.calm()
	_, url := s.serve()
	s.set("STAFF_KEY", s.key("staff"))
	stands := map[string]string{"http://127.0.0.1:8080": url}
	return example{stands: stands, steps: map[string]step{
		"directorybolt keys create --role worker --name python": {then: func(printed string) {
			stands["dbk_…"] = strings.TrimSpace(strings.SplitN(printed, "\n", 2)[0])
		}},
		`curl -sS -X POST http://127.0.0.1:8080/api/jobs -H "Authorization: Bearer $STAFF_KEY" -H 'Content-Type: application/json' \`: {
			then: func(printed string) {
				var id job.ID
				if err := id.UnmarshalText([]byte(anID.FindString(printed))); err != nil {
					s.t.Fatalf("%v in %s", err, printed)
				}
				s.awaitFinal(id, time.Minute)
			},
		},
	}}
}

// events is an API and a worker that is about to perform an order.
func events(s *stack) example {
	s.calm()
	s.set("SUBMIT_CONCURRENCY", "1")
	s.use(s.sandboxed(1))
	p := s.start("all")
	host, key := s.answersAt(p), s.customerKey()
	s.set("KEY", key)
	portal := &studio{stack: s, urls: []string{p.answersAt()}}
	return example{
		stands: map[string]string{"127.0.0.1:8080": host},
		steps: map[string]step{`curl -NsS http://127.0.0.1:8080/api/events -H "Authorization: Bearer $KEY"`: {first: func() {
			portal.call(key, http.MethodPost, "/api/orders", string(s.orderBody(1)), nil)
		}}},
	}
}

// aDrill has nothing: the drill makes a stack of its own.
func aDrill(*stack) example { return example{} }

// logs is what a worker said that performed an order.
func logs(s *stack) example {
	s.use(s.sandboxed(0.2))
	id := s.submit(1, "starter")
	p := s.start("work")
	s.awaitFinal(id, 2*time.Minute, p)
	p.signal(15)
	<-p.exited
	must(s.t, os.Rename(p.log, filepath.Join(s.dir, "work.log")))
	return example{stands: map[string]string{"01936b4e-…": id.String()}}
}

// oneDeadLetter is an installation that is well but for a dead letter.
func oneDeadLetter(s *stack) example {
	s.calm()
	f := newFailure(s)
	f.befalls("all")
	w := &ward{stack: s, url: f.processes[0].answersAt()}
	w.is("one dead letter", http.StatusOK, "degraded", "dlq")
	return example{stands: map[string]string{"localhost:8080": s.answersAt(f.processes[0])}}
}

// theTree is what the compose section needs of a clone.
func theTree(s *stack) example {
	settings, err := os.ReadFile(filepath.Join(repository, ".env.example"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(".env.example", settings)
	must(s.t, os.Mkdir(filepath.Join(s.dir, "deploy"), 0o700))
	return example{steps: map[string]step{"install -m 0600 ../.env.example .env": {then: func(string) {
		for name, mode := range map[string]os.FileMode{"": 0o700, "postgres_password": 0o444, "grafana_password": 0o444, "database_url": 0o444, "../.env": 0o600} {
			is, err := os.Stat(filepath.Join(s.dir, "deploy/secrets", name))
			if err != nil || is.Mode().Perm() != mode {
				s.t.Errorf("secrets/%s: %v, %v", name, is.Mode(), err)
			}
		}
		at, err := os.ReadFile(filepath.Join(s.dir, "deploy/secrets/database_url"))
		if u, wrong := url.Parse(strings.TrimSpace(string(at))); err != nil || wrong != nil || u.User.Username() != "directorybolt" || u.Host != "postgres:5432" {
			s.t.Errorf("secrets/database_url is %q: %v, %v", at, err, wrong)
		}
	}}}}
}

// limited is an API behind a proxy on this machine.
func limited(s *stack, patience time.Duration) (url string, stands map[string]string) {
	s.set("TRUSTED_PROXIES", "127.0.0.0/8")
	s.set("RATE_LIMIT_TIMEOUT", patience.String())
	p, url := s.serve()
	return url, map[string]string{"https://api.example.com": url, "localhost:8080": s.answersAt(p)}
}

// aLimit is an API that nobody has asked.
func aLimit(s *stack) example {
	_, stands := limited(s, unhurried)
	return example{stands: stands}
}

// aLimitWithoutItsStore is an API that was asked five times; after the second time
// another process took the database's lock and kept it.
func aLimitWithoutItsStore(s *stack) example {
	const patience = 2 * time.Second
	url, stands := limited(s, patience)
	for range 2 {
		ask(s.t, url, "/api/orders", "203.0.113.1")
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dataDir, "directorybolt.db")+"?_pragma=busy_timeout(30000)")
	must(s.t, err)
	db.SetMaxOpenConns(1)
	s.t.Cleanup(func() { _ = db.Close() })
	_, err = db.ExecContext(context.Background(), "BEGIN IMMEDIATE")
	must(s.t, err)
	for range 3 {
		ask(s.t, url, "/api/orders", "203.0.113.1")
	}
	return example{stands: stands}
}

// aLimitReached is an API that one client asked more often than he may.
func aLimitReached(s *stack) example {
	url, stands := limited(s, unhurried)
	for range 106 {
		ask(s.t, url, "/api/orders", "127.0.0.1")
	}
	return example{stands: stands}
}

// noWorker is an installation with monitors and an API, and an order that nobody takes.
func noWorker(s *stack) example {
	s.calm()
	s.submit(1, "starter")
	s.exec("UPDATE jobs SET due_at = due_at - 3600000000")
	s.started("stale-monitor")
	s.started("dlq-monitor")
	p, url := s.serve()
	s.set("KEY", s.key("staff"))
	w := &ward{stack: s, url: url}
	w.is("nobody takes it", http.StatusServiceUnavailable, "unhealthy", "workers", "alerts")
	return example{
		stands: map[string]string{"localhost:8080": s.answersAt(p)},
		steps: map[string]step{
			"directorybolt health --direct": {exit: 5},
			"directorybolt health":          {exit: 5},
		},
	}
}

// noDatabase is a machine with settings, and nobody where they say the database is.
func noDatabase(s *stack) example {
	s.set("DATABASE_URL", "postgres://bolt:secret@127.0.0.1:1/bolt")
	return example{steps: map[string]step{"directorybolt health --direct": {exit: 5}}}
}

// containers are an API that the database does not answer, a worker, and nobody at the
// usual port.
func containers(s *stack) example {
	s.calm()
	s.set("PROBE_ADDRESS", "127.0.0.1:0")
	s.use(s.sandboxed(1))
	worker := s.start("work")
	at, err := url.Parse((&ward{stack: s}).probes(worker))
	must(s.t, err)
	database, err := url.Parse(s.url)
	must(s.t, err)
	proxy, err := drill.NewProxy(database.Host)
	must(s.t, err)
	direct := s.url
	database.Host = proxy.Address()
	s.set("DATABASE_URL", database.String())
	p, _ := s.serve()
	s.answersAt(p)
	proxy.Close()
	s.set("DATABASE_URL", direct)
	s.set("PROBE_ADDRESS", "")
	return example{
		stands: map[string]string{"docker exec api directorybolt": "directorybolt", "127.0.0.1:9090": at.Host},
		steps: map[string]step{
			"docker exec api directorybolt health --ready":              {exit: 5},
			"PROBE_ADDRESS=127.0.0.1:9090 directorybolt health --ready": {first: func() { s.set("PORT", "0") }},
			"directorybolt health --ready":                              {exit: 1, first: func() { s.set("PORT", "1") }},
		},
	}
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
	server := s.emulator(func(e sqstest.Emulator) bool { return e.Counts })
	queues := server.Pair(10)
	s.set("SQS_QUEUE_URL", queues.URL)
	s.set("SQS_DLQ_URL", queues.DLQ)
	return server
}

// emulator takes an emulator for SQS.
func (s *stack) emulator(can func(sqstest.Emulator) bool) *sqstest.Server {
	s.t.Helper()
	server := sqstest.Can(s.t, can)[0].Start(s.t)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SQS": server.Endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	} {
		s.set(name, value)
	}
	return server
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
