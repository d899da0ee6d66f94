package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// shelf keeps keys in memory and counts how often it is asked.
type shelf struct {
	mu       sync.Mutex
	keys     map[string]auth.Key
	hashes   map[string]auth.Hash
	sessions map[auth.Hash]string
	used     map[string]time.Duration
	asked    int
	down     error
}

func newShelf() *shelf {
	return &shelf{keys: map[string]auth.Key{}, hashes: map[string]auth.Hash{}, sessions: map[auth.Hash]string{}}
}

func (s *shelf) AddKey(_ context.Context, k auth.Key, h auth.Hash, _ job.By) (auth.Key, error) {
	s.keys[k.ID], s.hashes[k.ID] = k, h
	return k, nil
}

func (s *shelf) KeyByID(_ context.Context, id string) (auth.Key, auth.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.down != nil {
		return auth.Key{}, auth.Hash{}, s.down
	}
	k, ok := s.keys[id]
	if !ok {
		return auth.Key{}, auth.Hash{}, job.ErrNotFound
	}
	return k, s.hashes[id], nil
}

func (s *shelf) Keys(context.Context) ([]auth.Key, error) { return nil, nil }

func (s *shelf) RevokeKey(_ context.Context, id string, _ job.By) error {
	k := s.keys[id]
	k.RevokedAt = time.Now()
	s.keys[id] = k
	return nil
}

func (s *shelf) KeysUsed(_ context.Context, ages map[string]time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = maps.Clone(ages)
	return s.down
}

// fail makes the store fail from now on, or no longer.
func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

// noted takes what was noted last.
func (s *shelf) noted() map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := s.used
	s.used = nil
	return used
}

func (s *shelf) AddSession(_ context.Context, h auth.Hash, id string, _ time.Duration) (time.Time, error) {
	s.sessions[h] = id
	return time.Time{}, nil
}

func (s *shelf) SessionKey(_ context.Context, h auth.Hash) (string, error) {
	if id, ok := s.sessions[h]; ok {
		return id, nil
	}
	return "", job.ErrNotFound
}

func (s *shelf) EndSession(_ context.Context, h auth.Hash) error {
	delete(s.sessions, h)
	return nil
}

func (s *shelf) mint(t *testing.T, role auth.Role, expires time.Time) (string, auth.Key) {
	t.Helper()
	customer := uuid.Nil
	if role == auth.Customer {
		customer = uuid.New()
	}
	text, k, err := auth.Mint("a key", role, customer, expires, "cli:ann")
	if err != nil {
		t.Fatal(err)
	}
	k, _ = s.AddKey(t.Context(), k, auth.HashOf(text), job.By{})
	return text, k
}

func TestAKeyIsKnownByItsShape(t *testing.T) {
	text, k := newShelf().mint(t, auth.Staff, time.Time{})
	if want := "dbk_live_" + k.ID + "_"; !strings.HasPrefix(text, want) || len(text) != 56 {
		t.Errorf("%q, want 56 characters that begin with %q", text, want)
	}
}

func TestVerifyTellsWhoseKeyItIs(t *testing.T) {
	s := newShelf()
	text, k := s.mint(t, auth.Customer, time.Time{})
	got, err := auth.NewVerifier(s, s).Verify(t.Context(), text)
	if err != nil || got != k.Identity() {
		t.Errorf("%+v, %v, want %+v", got, err, k.Identity())
	}
}

func TestVerifyRefusesWhatIsNoKeyWithoutAskingTheStore(t *testing.T) {
	s := newShelf()
	text, _ := s.mint(t, auth.Admin, time.Time{})
	v := auth.NewVerifier(s, s)
	other := "0"
	if text[30] == '0' {
		other = "1"
	}
	for _, bad := range []string{"", "dbk_live_", text[:len(text)-1], text + "x", strings.ToUpper(text), text[:30] + other + text[31:], " " + text} {
		if _, err := v.Verify(t.Context(), bad); !errors.Is(err, auth.ErrRefused) {
			t.Errorf("%q: got %v, want ErrRefused", bad, err)
		} else if strings.Contains(err.Error(), text[18:30]) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
	if s.asked != 0 {
		t.Errorf("the store was asked %d times", s.asked)
	}
}

func TestVerifyRefusesAForgedSecret(t *testing.T) {
	s := newShelf()
	_, k := s.mint(t, auth.Admin, time.Time{})
	forged, other, err := auth.Mint("forged", auth.Admin, uuid.Nil, time.Time{}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.keys[other.ID], s.hashes[other.ID] = k, s.hashes[k.ID] // the id is right, the secret is not
	if _, err := auth.NewVerifier(s, s).Verify(t.Context(), forged); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

func TestVerifyAsksTheStoreOnceInFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		text, k := s.mint(t, auth.Staff, time.Time{})
		v := auth.NewVerifier(s, s)
		for range 100 {
			if _, err := v.Verify(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		if s.asked != 1 {
			t.Errorf("asked %d times, want 1", s.asked)
		}
		_ = s.RevokeKey(t.Context(), k.ID, job.By{})
		time.Sleep(5 * time.Second)
		if _, err := v.Verify(t.Context(), text); !errors.Is(err, auth.ErrRefused) {
			t.Errorf("5 s after it was revoked: got %v, want ErrRefused", err)
		}
	})
}

func TestAKeyEndsAtItsExpiryAlsoFromMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		text, _ := s.mint(t, auth.Staff, time.Now().Add(2*time.Second))
		v := auth.NewVerifier(s, s)
		if _, err := v.Verify(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if _, err := v.Verify(t.Context(), text); !errors.Is(err, auth.ErrRefused) {
			t.Errorf("got %v, want ErrRefused", err)
		}
	})
}

func TestAStoreThatIsAwayIsNoRefusal(t *testing.T) {
	s := newShelf()
	text, _ := s.mint(t, auth.Staff, time.Time{})
	s.fail(errors.New("no answer"))
	if _, err := auth.NewVerifier(s, s).Verify(t.Context(), text); err == nil || errors.Is(err, auth.ErrRefused) {
		t.Errorf("got %v, want the store's error", err)
	}
}

func TestASessionStandsForItsKeyUntilItEnds(t *testing.T) {
	s := newShelf()
	_, k := s.mint(t, auth.Staff, time.Time{})
	v := auth.NewVerifier(s, s)
	session := auth.NewSession()
	_, _ = s.AddSession(t.Context(), auth.HashOf(session), k.ID, time.Hour)
	got, err := v.VerifySession(t.Context(), session)
	if err != nil || got != k.Identity() {
		t.Fatalf("%+v, %v, want %+v", got, err, k.Identity())
	}
	_ = s.EndSession(t.Context(), auth.HashOf(session))
	v.Forget(session)
	if _, err := v.VerifySession(t.Context(), session); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("after its end: got %v, want ErrRefused", err)
	}
}

func TestLastUseIsNotedOnceAMinuteAndAgainWhenThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		text, k := s.mint(t, auth.Staff, time.Time{})
		v := auth.NewVerifier(s, s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx, slog.New(slog.DiscardHandler)) }()
		if _, err := v.Verify(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		s.fail(errors.New("no answer"))
		time.Sleep(time.Minute + time.Second)
		s.fail(nil)
		time.Sleep(time.Minute)
		if got, want := s.noted()[k.ID], 2*time.Minute; got != want {
			t.Errorf("noted as used %s ago, want %s", got, want)
		}
		cancel()
		if err, again := <-done, s.noted(); err != nil || again != nil {
			t.Errorf("ended with %v and a second note %v", err, again)
		}
	})
}

func TestMintWantsAnOwnerThatFitsTheRole(t *testing.T) {
	for _, c := range []struct {
		name     string
		role     auth.Role
		customer uuid.UUID
		ok       bool
	}{
		{"ann", auth.Customer, uuid.New(), true},
		{"ann", auth.Customer, uuid.Nil, false},
		{"ann", auth.Staff, uuid.New(), false},
		{"ann", "root", uuid.Nil, false},
		{" ", auth.Staff, uuid.Nil, false},
	} {
		if _, _, err := auth.Mint(c.name, c.role, c.customer, time.Time{}, ""); (err == nil) != c.ok {
			t.Errorf("%q %s of %s: %v", c.name, c.role, c.customer, err)
		}
	}
}

func TestCustomersSeeOnlyTheirOwn(t *testing.T) {
	mine, theirs := uuid.New(), uuid.New()
	for _, c := range []struct {
		who  auth.Identity
		of   uuid.UUID
		sees bool
	}{
		{auth.Identity{Role: auth.Customer, CustomerID: mine}, mine, true},
		{auth.Identity{Role: auth.Customer, CustomerID: mine}, theirs, false},
		{auth.Identity{Role: auth.Customer}, uuid.Nil, false},
		{auth.Identity{Role: auth.Staff}, theirs, true},
		{auth.Identity{Role: auth.Worker}, theirs, false},
		{auth.Identity{}, uuid.Nil, false},
	} {
		if got := c.who.Sees(c.of); got != c.sees {
			t.Errorf("%+v sees %s: %v, want %v", c.who, c.of, got, c.sees)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := newShelf()
	text, k, err := auth.Mint("a key", auth.Staff, uuid.Nil, time.Time{}, "")
	if err != nil {
		f.Fatal(err)
	}
	_, _ = s.AddKey(f.Context(), k, auth.HashOf(text), job.By{})
	f.Add(text)
	f.Add("dbk_live_")
	f.Fuzz(func(t *testing.T, given string) {
		_, err := auth.NewVerifier(s, s).Verify(t.Context(), given)
		if (err == nil) != (given == text) {
			t.Errorf("%q: %v", given, err)
		}
	})
}
