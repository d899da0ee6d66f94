package seldom_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/seldom"
)

func TestLineIsWrittenOnceAMinuteAndCountsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l seldom.Line
		said, unsaid := 0, 0
		for range 600 {
			if n, now := l.Say(); now {
				said, unsaid = said+1, unsaid+n
			}
			time.Sleep(time.Second)
		}
		if said != 10 || unsaid != 9*59 {
			t.Errorf("%d lines in ten minutes, %d counted as unsaid; want 10 and %d", said, unsaid, 9*59)
		}
	})
}
