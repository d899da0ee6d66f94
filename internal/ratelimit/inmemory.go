package ratelimit

import (
	"context"
	"sync"
	"time"
)

// InMemory is a [Storage] for one process that may forget at its end. The zero value
// is ready.
type InMemory struct {
	// Clock is what it counts by; nil means time.Now. Not to be changed while in use.
	Clock func() time.Time

	mu   sync.Mutex
	logs map[Key]*storedLog
}

type storedLog struct {
	log    Log
	window int64 // milliseconds, as last asked for
}

func (m *InMemory) now() int64 {
	if m.Clock == nil {
		return time.Now().UnixMicro()
	}
	return m.Clock().UnixMicro()
}

// Admit implements [Storage].
func (m *InMemory) Admit(_ context.Context, asks []Ask) ([]Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logs == nil {
		m.logs = map[Key]*storedLog{}
	}
	now, answers := m.now(), make([]Answer, len(asks))
	for i, a := range asks {
		s := m.logs[a.Key]
		if s == nil {
			s = &storedLog{}
			m.logs[a.Key] = s
		}
		s.window = a.Window.Milliseconds()
		s.log, answers[i] = s.log.Admit(a, now)
	}
	return answers, nil
}

// Ping implements [Storage].
func (m *InMemory) Ping(context.Context) error { return nil }

// Sweep implements [Storage].
func (m *InMemory) Sweep(_ context.Context, limit int) (swept int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ms := m.now() / 1000
	for key, s := range m.logs {
		if swept == limit {
			break
		}
		if s.log.Last() <= ms-s.window {
			delete(m.logs, key)
			swept++
		}
	}
	return swept, nil
}

// Len is how many logs it keeps.
func (m *InMemory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.logs)
}
