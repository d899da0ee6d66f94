#!/usr/bin/env python3
"""A worker for DirectoryBolt in Python. It needs the standard library alone.

    directorybolt keys create --role worker --name python
    DIRECTORYBOLT_URL=http://127.0.0.1:8080 DIRECTORYBOLT_KEY=dbk_... python3 worker.py

Staff gives it work with POST /api/jobs, of the kinds in HANDLERS below. Put your own
there: a handler takes the job and its lease. When it returns the job is completed; an
exception fails the attempt, to be tried again; Permanent and Snooze say otherwise.

What makes it safe is little, and told in docs/workers.md:
- each call about a job names its fence, the number of this one claim;
- a thread of its own renews the lease, and lists the job that runs;
- after the deadline of the lease, on a clock that runs through suspend, nothing may
  leave the house: lease.check() before every effect;
- 409 means that others have the job now: stop, write nothing more.
"""

import json
import os
import random
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

URL = os.environ.get("DIRECTORYBOLT_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("DIRECTORYBOLT_KEY", "")


class Permanent(Exception):
    """No retry can mend it."""


class Snooze(Exception):
    """There is nothing to do before so many seconds are over."""

    def __init__(self, seconds, cause):
        super().__init__(cause)
        self.seconds = seconds


class LeaseLost(Exception):
    """The job is for others now."""


class Refused(Exception):
    """The server's answer is a problem."""

    def __init__(self, status, problem):
        super().__init__("%s %s: %s" % (status, problem.get("code"), problem.get("detail")))
        self.status = status
        self.reason = problem.get("reason", "")


def wait(job, lease):
    """Kind example.wait: takes payload.seconds, and does nothing in them."""
    end = now() + float(job["payload"].get("seconds", 1))
    while now() < end:
        lease.check()
        time.sleep(0.1)
        lease.progress()


def refuse(job, lease):
    """Kind example.refuse: cannot be done, whoever tries."""
    raise Permanent("nobody can do that")


HANDLERS = {"example.wait": wait, "example.refuse": refuse}


def now():
    """Seconds on a clock that runs through suspend, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def say(text, **more):
    print(json.dumps(dict(more, msg=text)), file=sys.stderr, flush=True)


def ask(path, body, timeout=15):
    """One request. OSError: no answer. Refused: an answer that is a problem."""
    request = urllib.request.Request(
        URL + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + KEY, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        try:
            problem = json.loads(error.read())
        except ValueError:
            problem = {}
        if error.code == 429 or error.code >= 500:
            raise OSError("%d %s" % (error.code, problem.get("code"))) from error
        raise Refused(error.code, problem) from error


class Lease:
    """This worker's right to its job, and for how long it holds."""

    def __init__(self, worker, job):
        self.worker, self.job = worker, job
        self.lost = None  # or why
        self.progressed_at = now()

    def call(self, verb, **more):
        body = {"worker_id": self.worker.id, "job_id": self.job["job_id"], "fence": self.job["fence"]}
        try:
            return ask("/api/worker/" + verb, dict(body, **more))
        except Refused as error:
            if error.status != 409:
                raise
            self.lost = error.reason
            say("late write refused", verb=verb, status=error.status, reason=error.reason, detail=str(error), **body)
            raise LeaseLost(error.reason) from error

    def check(self):
        """Before every effect: nothing leaves the house without a lease."""
        if self.lost:
            raise LeaseLost(self.lost)
        if now() > self.worker.deadline:
            raise LeaseLost("the lease is over on this worker's own clock")

    def progress(self):
        """The job gets further. It is told about as often as the heart beats."""
        if now() - self.progressed_at < self.worker.beat_every:
            return
        try:
            self.call("progress")
            self.progressed_at = now()
        except OSError as error:
            say("progress not told", error=str(error))


class Worker:
    """One identity, from registration until it leaves or is retired."""

    def __init__(self):
        sent = now()
        answer = ask("/api/worker/register", {
            "host": socket.gethostname(), "pid": os.getpid(), "version": "example", "kinds": list(HANDLERS), "capacity": 1,
        })
        self.id = answer["worker_id"]
        self.beat_every = answer["heartbeat_seconds"]
        self.extend(sent, answer["lease_seconds"])
        self.lease = None  # of the job that runs
        self.over = threading.Event()
        threading.Thread(target=self.heart, daemon=True).start()
        say("registered", worker_id=self.id)

    def extend(self, sent, seconds):
        """The lease began when the request was sent, at the latest."""
        self.deadline = sent + 0.9 * seconds

    def heart(self):
        while not self.over.wait(self.beat_every):
            lease = self.lease
            held = [{"job_id": lease.job["job_id"], "fence": lease.job["fence"]}] if lease else []
            sent = now()
            try:
                answer = ask("/api/worker/heartbeat", {"worker_id": self.id, "held": held}, timeout=self.beat_every)
            except OSError as error:
                say("heartbeat failed", error=str(error))
                continue
            except Refused as error:  # retired: what it runs is for others now
                say("retired", status=error.status, reason=error.reason, detail=str(error))
                if lease:
                    lease.lost = error.reason
                self.over.set()
                return
            self.extend(sent, answer["lease_seconds"])
            for lost in answer["lost"]:
                if lease and lost["fence"] == lease.job["fence"]:
                    lease.lost = lost["reason"]

    def claim(self):
        answer = ask("/api/worker/claim", {
            "worker_id": self.id, "kinds": list(HANDLERS), "limit": 1, "wait_seconds": 10, "alone": True,
        }, timeout=25)
        return answer["jobs"]

    def run(self, job):
        lease = self.lease = Lease(self, job)
        say("claimed", job_id=job["job_id"], fence=job["fence"], kind=job["kind"], attempt=job["attempt"])
        try:
            self.end(lease, *attempt(job, lease))
        except LeaseLost as error:
            say("stopped", job_id=job["job_id"], reason=str(error))
        finally:
            self.lease = None

    def end(self, lease, verb, more):
        """Says how it ended, again while nobody answers and the lease holds."""
        while True:
            try:
                answer = lease.call(verb, **more)
                say("ended", job_id=lease.job["job_id"], verb=verb, state=answer["state"])
                return
            except OSError as error:
                say("end not told", verb=verb, error=str(error))
            lease.check()
            time.sleep(0.5 + random.random())

    def leave(self):
        self.over.set()
        try:
            ask("/api/worker/leave", {"worker_id": self.id})
        except (OSError, Refused) as error:
            say("goodbye not heard, the lease will run out", error=str(error))


def attempt(job, lease):
    """Runs the handler. What it did decides which call ends the attempt."""
    try:
        HANDLERS[job["kind"]](job, lease)
        return "complete", {}
    except LeaseLost:
        raise
    except Permanent as error:
        return "fail", {"cause": str(error), "permanent": True}
    except Snooze as error:
        return "snooze", {"cause": str(error), "delay_seconds": error.seconds}
    except Exception as error:  # anything else is tried again later
        return "fail", {"cause": "%s: %s" % (type(error).__name__, error)}


def main():
    stop = threading.Event()
    worker = None

    def end(*_):
        """The job that runs is finished; who waits for one waits no longer."""
        stop.set()
        if worker is None or worker.lease is None:
            raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        while not stop.is_set():
            try:
                if worker is None or worker.over.is_set():
                    worker = Worker()
                for job in worker.claim():
                    worker.run(job)
            except Refused as error:
                if worker is None or error.status not in (404, 409):
                    raise  # the key or the program is wrong: no repetition mends that
                say("begins anew", reason=error.reason, detail=str(error))
                worker.over.set()
            except OSError as error:
                say("no answer, will try again", error=str(error))
                stop.wait(0.5 + random.random())
    except KeyboardInterrupt:
        pass
    if worker and not worker.over.is_set():
        worker.leave()  # a job whose claim was cut short goes back with it


if __name__ == "__main__":
    main()
