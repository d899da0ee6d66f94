package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestADataDirectoryThatCannotBeOneIsBad(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	file, astray := filepath.Join(m.dir, "file"), filepath.Join(m.dir, "astray")
	m.must(os.WriteFile(file, nil, 0o600))
	m.must(os.Symlink("nowhere", astray))
	for dir, culprit := range map[string]string{
		file: file, filepath.Join(file, "below"): file, filepath.Join(file, "a", "b"): file, astray: astray, filepath.Join(astray, "below"): astray,
	} {
		m.says(command(t, "doctor", "--all", "--data-dir", dir), ExitUnhealthy, `^disk +bad +writable +`+culprit+` is not a directory +choose another with DATA_DIR`, ``)
	}
	m.says(command(t, "doctor", "--all", "--data-dir", astray), ExitUnhealthy, `^database +bad +reachable `, ``)
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		m.says(command(t, "doctor", "--all", "--data-dir", dir), ExitUnhealthy, `^database +bad +reachable +.*not a directory`, ``)
		m.says(command(t, "jobs", "list", "--data-dir", dir), ExitFailure, `^$`,
			`^directorybolt: open the store: no database can be at `+dir+`/directorybolt\.db: not a directory \(choose another directory with --data-dir or DATA_DIR\)$`)
	}
	m.says(command(t, "doctor", "--all", "--data-dir", filepath.Join(m.dir, "new", "one")), ExitUnhealthy, `^disk +good +writable `, ``)
}
