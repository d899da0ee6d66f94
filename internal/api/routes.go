package api

import (
	"net/http"

	"github.com/directorybolt/directorybolt/internal/auth"
)

// handler answers a request, or returns an error that becomes a problem.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one line of the index.
type route struct {
	method, path string
	who          []auth.Role // who may ask
	policy       string      // how often; empty: the role's own
	does         string      // for /api/openapi.json
	handle       handler
	in, out      any // zero values of the bodies' types; nil: none
}

// routes is every route of /api/, who may ask it, and what it does.
func (s *server) routes() []route {
	return []route{
		// Health: what people, uptime probes and autoscalers read.
		{"GET", "/api/health", anybody, policyProbe, "Says how the installation is, and what is wrong.", s.health, nil, Health{}},

		// Orders: what customers place and follow.
		{"POST", "/api/orders", customers, "", "Places an order.", s.once(s.createOrder), orderRequest{}, orderView{}},
		{"GET", "/api/orders", customers, "", "Lists orders, newest first.", s.listOrders, nil, page[orderView]{}},
		{"GET", "/api/orders/{id}", customers, "", "Shows an order and how far it is.", s.getOrder, nil, orderView{}},
		{"GET", "/api/orders/{id}/results", customers, "", "Lists the directories of an order and what came of each.", s.getResults, nil, page[resultView]{}},

		// Jobs: what staff acts on.
		{"GET", "/api/jobs", staff, "", "Lists jobs, newest first.", s.listJobs, nil, page[jobView]{}},
		{"GET", "/api/jobs/{id}", staff, "", "Shows a job.", s.getJob, nil, jobView{}},
		{"GET", "/api/jobs/{id}/history", staff, "", "Tells a job's story, oldest first.", s.getHistory, nil, page[eventView]{}},
		{"POST", "/api/jobs/{id}/cancel", staff, "", "Cancels a pending or running job.", s.actOnJob(s.cancel), reasonRequest{}, jobView{}},
		{"POST", "/api/jobs/{id}/redrive", staff, "", "Gives a failed job new budgets and makes it pending.", s.actOnJob(s.redrive), reasonRequest{}, jobView{}},
		{"GET", "/api/pauses", staff, "", "Lists what is paused.", s.listPauses, nil, page[pauseView]{}},
		{"POST", "/api/jobs/pause", staff, "", "Stops handing out jobs of a customer, a kind, or all.", s.pause, scopeRequest{}, pauseView{}},
		{"POST", "/api/jobs/resume", staff, "", "Ends a pause.", s.resume, scopeRequest{}, nil},
		{"GET", "/api/stale", staff, "", "Lists running jobs that recovery takes, or is about to.", s.listStale, nil, page[staleView]{}},
		{"GET", "/api/workers", staff, "", "Lists workers, and those that went within the hour.", s.listWorkers, nil, page[workerView]{}},

		// Directories: the catalog.
		{"GET", "/api/directories", keyed, "", "Lists the directories of the catalog, by authority.", s.listDirectories, nil, page[directoryView]{}},
		{"GET", "/api/directories/{slug}", keyed, "", "Shows a directory.", s.getDirectory, nil, directoryView{}},

		// The queue, as customers see it.
		{"GET", "/api/queue/{customerId}", customers, "", "Tells where a customer's orders stand: state, position in line, progress, and when they are likely to be done.", s.getQueue, nil, queueView{}},
		{"POST", "/api/queue/{customerId}", customers, "", "Ends the wait of the customer's next order: it is due now, and comes up in its turn.", s.processNow, nil, queueView{}},

		// What happens, as it happens.
		{"GET", "/api/events", customers, "", "Streams events of orders and jobs, and the progress of orders, as server-sent events; Last-Event-ID takes a stream up again.", s.streamEvents, nil, news{}},

		// Workers in any language, and work for them.
		{"POST", "/api/jobs", staff, "", "Enqueues a job of a kind that is not the house's own, for workers in any language.", s.once(s.createJob), jobRequest{}, jobView{}},
		{"POST", "/api/worker/register", workers, "", "Begins to work, under a new identity with a lease.", s.registerWorker, registerRequest{}, registered{}},
		{"POST", "/api/worker/claim", workers, "", "Takes jobs of the kinds named; waits for one where there is none.", s.claimJobs, claimRequest{}, claimed{}},
		{"POST", "/api/worker/heartbeat", workers, "", "Renews the lease, and tells which of the jobs held are lost.", s.beat, heartbeatRequest{}, heartbeat{}},
		{"POST", "/api/worker/progress", workers, "", "Says that a job gets further.", s.progressJob, leaseRequest{}, jobStanding{}},
		{"POST", "/api/worker/complete", workers, "", "Ends a job with success.", s.completeJob, leaseRequest{}, jobStanding{}},
		{"POST", "/api/worker/fail", workers, "", "Ends an attempt that failed; the job is tried again while its budget lasts.", s.failJob, failRequest{}, jobStanding{}},
		{"POST", "/api/worker/release", workers, "", "Gives a job back as if it had never been claimed.", s.releaseJob, releaseRequest{}, jobStanding{}},
		{"POST", "/api/worker/snooze", workers, "", "Gives a job back until later, uncounted.", s.snoozeJob, snoozeRequest{}, jobStanding{}},
		{"POST", "/api/worker/leave", workers, "", "Ends a worker in order; what it holds is for others.", s.leave, leaveRequest{}, nil},

		// Keys and browser sessions.
		{"GET", "/api/keys", admins, policyAdmin, "Lists API keys, newest first; never their text.", s.listKeys, nil, page[auth.Key]{}},
		{"POST", "/api/keys", admins, policyAdmin, "Makes a key. Its text is answered once and kept nowhere.", s.createKey, keyRequest{}, madeKey{}},
		{"DELETE", "/api/keys/{id}", admins, policyAdmin, "Ends a key and its sessions for ever.", s.revokeKey, nil, nil},
		{"POST", "/api/session", anybody, policyAuth, "Signs a browser in with a key.", s.signIn, sessionRequest{}, auth.Identity{}},
		{"GET", "/api/session", keyed, "", "Says who asks.", s.whoAmI, nil, auth.Identity{}},
		{"DELETE", "/api/session", anybody, policyPublic, "Signs a browser out.", s.signOut, nil, nil},
	}
}
