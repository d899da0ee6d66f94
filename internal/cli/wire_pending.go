package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/submit"
)

func connect(ctx context.Context, c config.Config, log *slog.Logger, e existence) (backend, error) {
	return nil, errors.New("no stores yet")
}
func lockDataDir(dir string) (func() error, error) { return nil, errors.New("no stores yet") }
func migrationSQL(d store.Dialect, from int64) (string, error) {
	return "", errors.New("no stores yet")
}
func methods(c config.Config) map[directory.Method]submit.Method {
	return nil
}
func (a *app) logger(c config.Config) *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: c.LogLevel}))
}
func (a *app) quietLogger(c config.Config) *slog.Logger { return slog.New(slog.DiscardHandler) }
func (a *app) fileLogger(c config.Config, path string) *slog.Logger {
	f, err := os.Create(path)
	if err != nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(io.Writer(f), &slog.HandlerOptions{Level: c.LogLevel}))
}
