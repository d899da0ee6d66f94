package postgres

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// poolerOptions are parameters that other clients put into a URL for themselves.
// The server would refuse them.
var poolerOptions = []string{"pgbouncer", "connection_limit", "pool_timeout", "schema"}

// poolConfig reads the URL. hint says that the URL looks like that of a pooler in
// transaction mode; it proves nothing.
func (c Config) poolConfig() (config *pgxpool.Config, hint bool, err error) {
	text, hint := withoutPoolerOptions(c.URL)
	config, err = pgxpool.ParseConfig(text)
	if err != nil {
		return nil, false, unreadable("url")
	}
	config.MaxConns = int32(min(c.MaxConns, 1000))
	c.prepare(config.ConnConfig)
	return config, hint || config.ConnConfig.Port == 6543, nil
}

// directConfig is the way for what needs a session: past the pooler if a direct
// URL is given.
func (c Config) directConfig(pool *pgxpool.Config) (*pgx.ConnConfig, error) {
	if c.DirectURL == "" {
		return pool.ConnConfig.Copy(), nil
	}
	text, _ := withoutPoolerOptions(c.DirectURL)
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, unreadable("direct_url")
	}
	c.prepare(config)
	return config, nil
}

func (c Config) prepare(config *pgx.ConnConfig) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = c.ConnectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "directorybolt"
	}
}

// unreadable does not quote what it could not read: a password may stand anywhere in it.
func unreadable(field string) error {
	return fmt.Errorf("open Postgres: %w", &job.InvalidError{
		Field: field, Reason: "cannot be read; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters in the password percent-encoded",
	})
}

func withoutPoolerOptions(text string) (cleaned string, hint bool) {
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return text, false // "host=… port=…", or something that the caller reports
	}
	q := u.Query()
	hint = q.Get("pgbouncer") == "true"
	for _, name := range poolerOptions {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String(), hint
}

// session is one connection beside the pool, made when first needed and made anew
// when it broke. One caller has it at a time.
type session struct {
	config *pgx.ConnConfig
	turn   chan struct{} // holds a token while the session is free
	conn   *pgx.Conn     // owned by whoever holds the token
}

func newSession(config *pgx.ConnConfig) *session {
	s := &session{config: config, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// do runs act, and once more on a fresh connection when the old one turns out to
// be broken; act must bear that.
func (s *session) do(ctx context.Context, act func(*pgx.Conn) error) error {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	reused := s.conn != nil && !s.conn.IsClosed()
	err := s.once(ctx, act)
	if err != nil && reused && s.conn.IsClosed() && ctx.Err() == nil {
		err = s.once(ctx, act)
	}
	return err
}

func (s *session) once(ctx context.Context, act func(*pgx.Conn) error) error {
	if s.conn == nil || s.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, s.config)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	return act(s.conn)
}

// close waits for the caller that has the session.
func (s *session) close() {
	<-s.turn
	if s.conn != nil {
		_ = s.conn.Close(context.Background())
		s.conn = nil
	}
	s.turn <- struct{}{}
}
