package api

import (
	"net/http"

	"github.com/directorybolt/directorybolt/internal/auth"
)

// handler answers a request, or returns an error that becomes a problem.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one line of the index. What clients read of it is made of it, see
// openapi.go; a test holds it against what the handler does.
type route struct {
	method, path string
	who          []auth.Role // who may ask
	policy       string      // how often; empty: the role's own
	does         string      // for /api/openapi.json
	handle       handler
	in           any // zero value of the body's type, once{it}, or a GET's parameters; nil: none
	out          any // zero value of the body's type; nil: 204; or answers
}

// routes is every route of /api/, who may ask it, and what it does.
func (s *server) routes() []route {
	return []route{
		// Health: what people, uptime probes and autoscalers read.
		{"GET", "/api/health", anybody, policyProbe, "Says how the installation is, and what is wrong.", s.health, nil, answers{200: healthForms, 503: healthForms, 404: codes{codeNotFound}}},

		// Orders: what customers place and follow.
		{"POST", "/api/orders", customers, "", "Places an order.", s.createOrder, once{orderRequest{}}, answers{201: orderView{}, 200: orderView{}, 400: codes{codeInvalidProfile, codeUnknownPackage}, 404: codes{codeCustomerNotFound}}},
		{"GET", "/api/orders", customers, "", "Lists orders, newest first.", s.listOrders, ordersQuery{}, page[orderView]{}},
		{"GET", "/api/orders/{id}", customers, "", "Shows an order and how far it is.", s.getOrder, nil, answers{200: orderView{}, 404: codes{codeJobNotFound}}},
		{"GET", "/api/orders/{id}/results", customers, "", "Lists the directories of an order and what came of each.", s.getResults, resultsQuery{}, answers{200: page[resultView]{}, 404: codes{codeJobNotFound}}},

		// Customers: who pays.
		{"GET", "/api/customers/{id}", staff, "", "Shows a customer.", s.getCustomer, nil, answers{200: customerView{}, 404: codes{codeCustomerNotFound}}},
		{"POST", "/api/customers/{id}/erase", admins, policyAdmin, "Removes everything personal about a customer; anonymous facts stay.", s.eraseCustomer, reasonRequest{}, answers{200: erasureView{}, 404: codes{codeCustomerNotFound}, 409: codes{codeInvalidStatus}}},

		// Jobs: what staff acts on.
		{"GET", "/api/jobs", staff, "", "Lists jobs, newest first.", s.listJobs, jobsQuery{}, page[jobView]{}},
		{"GET", "/api/jobs/{id}", staff, "", "Shows a job.", s.getJob, nil, answers{200: jobView{}, 404: codes{codeJobNotFound}}},
		{"GET", "/api/jobs/{id}/history", staff, "", "Tells a job's story, oldest first.", s.getHistory, nil, answers{200: page[eventView]{}, 404: codes{codeJobNotFound}}},
		{"POST", "/api/jobs/{id}/cancel", staff, "", "Cancels a pending or running job.", s.actOnJob(s.cancel), reasonRequest{}, acted},
		{"POST", "/api/jobs/{id}/redrive", staff, "", "Gives a failed job new budgets and makes it pending.", s.actOnJob(s.redrive), reasonRequest{}, acted},
		{"GET", "/api/pauses", staff, "", "Lists what is paused.", s.listPauses, nil, page[pauseView]{}},
		{"POST", "/api/jobs/pause", staff, "", "Stops handing out jobs of a customer, a kind, or all.", s.pause, scopeRequest{}, pauseView{}},
		{"POST", "/api/jobs/resume", staff, "", "Ends a pause.", s.resume, scopeRequest{}, answers{204: nil, 404: codes{codeNotFound}}},
		{"GET", "/api/stale", staff, "", "Lists running jobs that recovery takes, or is about to.", s.listStale, nil, page[staleView]{}},
		{"GET", "/api/workers", staff, "", "Lists workers, and those that went within the hour.", s.listWorkers, nil, page[workerView]{}},

		// Dead letters: what failed for good, and what people decide about it.
		{"GET", "/api/dlq", staff, "", "Lists dead letters, newest first: the open ones, unless asked for the decided too.", s.listLetters, lettersQuery{}, answers{200: page[letterView]{}, 404: codes{codeNotFound}}},
		{"GET", "/api/dlq/groups", staff, "", "Counts dead letters by reason.", s.listGroups, letterQuery{}, answers{200: page[groupView]{}, 404: codes{codeNotFound}}},
		{"GET", "/api/dlq/depth", staff, "", "Says how many dead letters are open, what they are worth, and whether anybody looks.", s.getDepth, nil, depthView{}},
		{"GET", "/api/dlq/{id}", staff, "", "Shows a dead letter, by its id or its job's, and what to do about it.", s.getLetter, nil, answers{200: letterView{}, 404: codes{codeNotFound}}},
		{"POST", "/api/dlq/{id}/redrive", staff, "", "Lets the job of a dead letter run again.", s.redriveOne, redriveOneRequest{}, answers{200: letterView{}, 404: codes{codeNotFound, codeJobNotFound}, 409: codes{codeInvalidStatus}}},
		{"POST", "/api/dlq/redrive", staff, "", "Lets the jobs of many dead letters run again, by id or filter.", s.redriveMany, redriveRequest{}, answers{200: redriveAnswer{}, 404: codes{codeNotFound}}},
		{"POST", "/api/dlq/purge", admins, policyAdmin, "Gives dead letters up and answers what they held.", s.purge, purgeRequest{}, answers{200: purgeAnswer{}, 404: codes{codeNotFound}, 409: codes{codeInvalidStatus}}},
		{"GET", "/api/journal", staff, "", "Tells what people did, and why, the latest first.", s.listJournal, paging{}, page[journalView]{}},

		// Books: whether everything that was paid for is accounted for.
		{"GET", "/api/books", staff, "", "Says whether the books balance, what is at risk now, and what recovery and redrives saved.", s.getBooks, nil, answers{200: booksView{}, 404: codes{codeNotFound}}},

		// Directories: the catalog.
		{"GET", "/api/directories", keyed, "", "Lists the directories of the catalog, by authority.", s.listDirectories, directoriesQuery{}, page[directoryView]{}},
		{"GET", "/api/directories/{slug}", keyed, "", "Shows a directory.", s.getDirectory, nil, answers{200: directoryView{}, 404: codes{codeNotFound}}},

		// The queue, as customers see it.
		{"GET", "/api/queue/{customerId}", customers, "", "Tells where a customer's orders stand: state, position in line, progress, and when they are likely to be done.", s.getQueue, nil, answers{200: queueView{}, 404: codes{codeCustomerNotFound}}},
		{"POST", "/api/queue/{customerId}", customers, "", "Ends the wait of the customer's next order: it is due now, and comes up in its turn.", s.processNow, nil, answers{202: queueView{}, 404: codes{codeCustomerNotFound}, 409: codes{codeInvalidStatus}}},

		// What happens, as it happens.
		{"GET", "/api/events", customers, "", "Streams events of orders and jobs, and the progress of orders, as server-sent events; Last-Event-ID takes a stream up again.", s.streamEvents, eventsQuery{}, answers{200: messages{news{}, orderProgress{}}, 400: codes{codeInvalidCursor}}},

		// Workers in any language, and work for them.
		{"POST", "/api/jobs", staff, "", "Enqueues a job of a kind that is not the house's own, for workers in any language.", s.createJob, once{jobRequest{}}, answers{201: jobView{}, 200: jobView{}, 404: codes{codeCustomerNotFound}}},
		{"POST", "/api/worker/register", workers, "", "Begins to work, under a new identity with a lease.", s.registerWorker, registerRequest{}, answers{201: registered{}}},
		{"POST", "/api/worker/claim", workers, "", "Takes jobs of the kinds named; waits for one where there is none.", s.claimJobs, claimRequest{}, ofWorker(claimed{})},
		{"POST", "/api/worker/heartbeat", workers, "", "Renews the lease, and tells which of the jobs held are lost.", s.beat, heartbeatRequest{}, ofWorker(heartbeat{})},
		{"POST", "/api/worker/progress", workers, "", "Says that a job gets further.", s.progressJob, leaseRequest{}, underLease},
		{"POST", "/api/worker/complete", workers, "", "Ends a job with success.", s.completeJob, leaseRequest{}, underLease},
		{"POST", "/api/worker/fail", workers, "", "Ends an attempt that failed; the job is tried again while its budget lasts.", s.failJob, failRequest{}, underLease},
		{"POST", "/api/worker/release", workers, "", "Gives a job back as if it had never been claimed.", s.releaseJob, releaseRequest{}, underLease},
		{"POST", "/api/worker/snooze", workers, "", "Gives a job back until later, uncounted.", s.snoozeJob, snoozeRequest{}, underLease},
		{"POST", "/api/worker/leave", workers, "", "Ends a worker in order; what it holds is for others.", s.leave, leaveRequest{}, answers{204: nil, 404: codes{codeNotFound}}},

		// Keys and browser sessions.
		{"GET", "/api/keys", admins, policyAdmin, "Lists API keys, newest first; never their text.", s.listKeys, nil, page[auth.Key]{}},
		{"POST", "/api/keys", admins, policyAdmin, "Makes a key. Its text is answered once and kept nowhere: who asks again under the same Idempotency-Key is told which key it was.", s.createKey, once{keyRequest{}}, answers{201: madeKey{}, 200: keptKey{}, 404: codes{codeCustomerNotFound}}},
		{"DELETE", "/api/keys/{key}", admins, policyAdmin, "Ends a key and its sessions for ever.", s.revokeKey, nil, answers{204: nil, 404: codes{codeNotFound}, 409: codes{codeInvalidStatus}}},
		{"POST", "/api/session", anybody, policyAuth, "Signs a browser in with a key.", s.signIn, sessionRequest{}, answers{201: auth.Identity{}}},
		{"GET", "/api/session", keyed, "", "Says who asks.", s.whoAmI, nil, auth.Identity{}},
		{"DELETE", "/api/session", anybody, policyPublic, "Signs a browser out.", s.signOut, nil, nil},

		// What this index says, for programs and for people.
		{"GET", "/api/openapi.json", anybody, "", "Describes these routes by OpenAPI 3.1.", s.showDocument, nil, answers{200: anything, 304: nil}},
		{"GET", "/api/docs", anybody, "", "Shows the description as a page.", s.showDocs, nil, answers{200: media("text/html"), 304: nil}},
	}
}

// acted is what acts on a job answer.
var acted = answers{200: jobView{}, 404: codes{codeJobNotFound}, 409: codes{codeInvalidStatus}}

// healthForms are the media types of a verdict.
var healthForms = forms{"application/json": Health{}, healthJSON: standardHealth{}}

// ofWorker is what routes answer that only a worker with a lease may ask.
func ofWorker(out any) answers {
	return answers{200: out, 404: codes{codeNotFound}, 409: codes{codeLeaseLost}}
}

// underLease is what acts on a claim answer.
var underLease = answers{200: jobStanding{}, 404: codes{codeJobNotFound}, 409: codes{codeLeaseLost}}
