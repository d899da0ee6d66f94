package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

// withSettings runs a command with settings of the environment.
func withSettings(t *testing.T, env []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := Main(t.Context(), Process{Args: args, Environ: env, Stdout: &stdout, Stderr: &stderr})
	return result{stdout.String(), stderr.String(), status}
}

func TestQueuesAreMadeCheckedAndFoundWanting(t *testing.T) {
	s := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Policies })[0].Start(t)
	env := []string{"AWS_ENDPOINT_URL_SQS=" + s.Endpoint, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}

	dry := withSettings(t, env, "queue", "create", "shop", "--dry-run")
	if dry.status != ExitOK || !strings.Contains(dry.stdout, "would be made") || strings.Contains(dry.stderr, "SQS_QUEUE_URL=") {
		t.Fatalf("a dry run: %+v", dry)
	}
	made := withSettings(t, env, "queue", "create", "shop", "--priorities", "2")
	if made.status != ExitOK || strings.Count(made.stdout, " made ") != 3 {
		t.Fatalf("create: %+v", made)
	}
	env = append(env, strings.Fields(made.stderr)...) // it ends with the settings

	good := withSettings(t, env, "queue", "check")
	if good.status != ExitOK || good.stdout != "" || !strings.Contains(good.stderr, "0 weak, 0 bad, 0 untold") {
		t.Fatalf("check: %+v", good)
	}
	var urls []string
	for _, kv := range env {
		if list, ok := strings.CutPrefix(kv, "SQS_QUEUE_URL="); ok {
			urls = strings.Split(list, ",")
		}
	}
	s.Set(urls[1], map[string]string{"RedrivePolicy": ""})
	bad := withSettings(t, env, "queue", "check", "--json")
	if bad.status != ExitUnhealthy {
		t.Errorf("check of a queue without redrive policy: status %d", bad.status)
	}
	found := 0
	for line := range strings.Lines(bad.stdout) {
		var f struct{ Queue, Aspect, Grade, Remedy string }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if f.Grade == "bad" {
			found++
			if f.Queue != "shop-p2" || f.Aspect != "redrive policy" || !strings.Contains(f.Remedy, "deadLetterTargetArn") {
				t.Errorf("finding %+v", f)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d bad findings in\n%s", found, bad.stdout)
	}
}

func TestQueueCommandsSayWhatIsMissing(t *testing.T) {
	for args, want := range map[string]string{
		"queue check":                 "directorybolt: SQS_QUEUE_URL is not set: the database wakes the workers, and there is no queue to check (make one with: directorybolt queue create)\n",
		"queue create a/b":            "directorybolt: \"a/b\" is no name of a queue (letters, digits, - and _, at most 70)\n",
		"queue create --priorities 5": "directorybolt: --priorities 5 is not from 1 to 4 (there are 4 priorities)\n",
	} {
		got := withSettings(t, nil, strings.Fields(args)...)
		if got.status != ExitUsage || got.stderr != want || got.stdout != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
