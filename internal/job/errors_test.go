package job_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
)

func TestMarksKeepTheErrorAndChooseTheArrow(t *testing.T) {
	cause := errors.New("gone")
	for name, c := range map[string]struct {
		mark func(error) error
		is   func(error) bool
	}{
		"permanent": {job.Permanent, job.IsPermanent},
		"cancel":    {job.Cancel, job.IsCancel},
	} {
		err := fmt.Errorf("visit: %w", c.mark(cause))
		if !c.is(err) || !errors.Is(err, cause) || err.Error() != "visit: gone" {
			t.Errorf("%s: %v is not marked, or lost its cause or text", name, err)
		}
		if c.is(cause) || c.mark(nil) != nil {
			t.Errorf("%s: an error without a mark has one, or no error became one", name)
		}
	}
}
